"""single-firing: a ramp that is climbed in one step."""

from __future__ import annotations

from collections.abc import Iterator

from prunus.actions import Prune, SetLR
from prunus.recipes.faults import Fault
from prunus.recipes.lint.acts import Act, Draft, say


def single_firing(draft: Draft) -> Iterator[Fault]:
    """A policy follows a ramp, or has a frequency, and its window lets it fire just once.

    >>> list(single_firing(Draft("native", ())))
    []
    """
    for act in draft.acts if draft.language == "native" else ():
        firings, window = act.firings(draft.run), act.policy.when
        if len(firings) != 1 or act.policy.action is not act.action:
            continue
        once = f"it fires once, in {window.unit} {firings[0]}"
        if _is_ramp(act):
            message = f"{once}, so its schedule is at the final level at once"
            yield say(act.timing, message, "Give it a longer window, or say one_shot.")
        elif window.frequency > 1 and window.end is not None:
            message = f"{once}: a frequency of {window.frequency} leads out of the window"
            yield say(act.at("frequency"), message, "Give it a longer window, or leave the frequency out.")


def _is_ramp(act: Act) -> bool:
    action = act.action
    return isinstance(action, (Prune, SetLR)) and action.schedule(0.0) != action.schedule(1.0)
