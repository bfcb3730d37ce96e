"""falling: a later policy asks for fewer zeros than an earlier one has left."""

from __future__ import annotations

from collections.abc import Iterator

from prunus.recipes.faults import Fault
from prunus.recipes.languages import Language
from prunus.recipes.lint.acts import Act, Draft, Run, say

EFFECT: dict[Language, str] = {
    "native": "Masks only tighten: it changes nothing before it asks for more.",
    "distiller": "Its masks replace the earlier ones, so that weights come back.",
}


def falling(draft: Draft) -> Iterator[Fault]:
    """A policy asks for fewer zeros than one that is over before it begins has left in the same weights.

    >>> list(falling(Draft("native", ())))
    []
    """
    for pair in draft.pairs():
        if pair[0].goals.keys() == pair[1].goals.keys() and pair[0].structure == pair[1].structure:
            one, other = sorted(pair, key=lambda act: [*act.firings(draft.run), 0][0])
            if _comes_after(other, one, draft.run):
                yield from _said(one, other, EFFECT[draft.language])


def _said(earlier: Act, later: Act, effect: str) -> Iterator[Fault]:
    for name, goal in later.goals.items():
        left = earlier.goals[name].last
        if goal.first < left:
            asks = f"{goal.last:g}" if goal.first == goal.last else f"{goal.first:g} to {goal.last:g}"
            what = "the same weights" if "*" in name else name
            message = (
                f"it asks for a sparsity of {asks} of {what}, where the policy of {earlier.where} has left {left:g}"
            )
            yield say(later.at("schedule", "final"), message, effect)
            return  # one of its names tells enough


def _comes_after(later: Act, earlier: Act, run: Run) -> bool:
    first, second = earlier.firings(run), later.firings(run)
    same = earlier.policy.when.unit == later.policy.when.unit
    return same and bool(first) and bool(second) and first[-1] < second[0]
