"""too-slow: an adaptive policy that cannot come to the end of its schedule."""

from __future__ import annotations

import math
from collections.abc import Iterator

from prunus.actions import Adaptive
from prunus.actions._pace import ROUNDING
from prunus.recipes.faults import Fault
from prunus.recipes.lint.acts import Draft, say


def too_slow(draft: Draft) -> Iterator[Fault]:
    """An adaptive policy would not come to the end of its schedule in its window, even if it never had to wait.

    >>> list(too_slow(Draft("native", ())))
    []
    """
    for act in draft.acts:
        action, firings = act.policy.action, act.firings(draft.run)
        if isinstance(action, Adaptive) and firings:
            needed = math.ceil(1.0 / action.step - ROUNDING) + 1  # the first firing begins at 0
            if len(firings) < needed:
                message = (
                    f"steps of {action.step:g} come to the end with firing {needed}, and it fires {len(firings)} times"
                )
                yield say(act.at("step"), message, "Take larger steps, or give it a longer window.")
