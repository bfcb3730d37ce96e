"""last-skipped: a frequency that does not come out even at the end of its window."""

from __future__ import annotations

from collections.abc import Iterator

from prunus.recipes.distiller.pruning import PruneByRule
from prunus.recipes.faults import Fault
from prunus.recipes.lint.acts import Act, Draft, say


def last_skipped(draft: Draft) -> Iterator[Fault]:
    """A policy fires every few epochs and not in the last one of its window.

    Only windows that end in a whole epoch are judged. In Distiller's files, where a pruner loses nothing by it, that
    is a notice.

    >>> list(last_skipped(Draft("native", ())))
    []
    """
    for act in draft.acts:
        window, firings = act.policy.when, act.firings(draft.run)
        if window.unit != "epoch" or not isinstance(window.end, int) or len(firings) < 2:
            continue
        last = window.end - 1
        if firings[-1] < last:
            left = f"epoch {last} passes" if firings[-1] == last - 1 else f"epochs {firings[-1] + 1} to {last} pass"
            message = f"frequency is {window.frequency}, so it fires last in epoch {firings[-1]} and {left} without it"
            suggestion = f"An end of {firings[-1] + 1} says the same."
            yield say(act.at("frequency"), message, suggestion, "notice" if _is_harmless(act) else "warning")


def _is_harmless(act: Act) -> bool:
    """Masks last, and a gradual pruner is at its goal with the last firing."""
    return isinstance(act.action, PruneByRule)
