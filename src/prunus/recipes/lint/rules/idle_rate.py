"""idle-rate: a schedule of the learning rate that leaves it where it is."""

from __future__ import annotations

from collections.abc import Iterator

from prunus.actions import SetLR
from prunus.recipes.faults import Fault
from prunus.recipes.lint.acts import Draft, say

SAMPLES = 21


def idle_rate(draft: Draft) -> Iterator[Fault]:
    """A learning rate is multiplied by 1 all along, or by 0 all along.

    >>> list(idle_rate(Draft("native", ())))
    []
    """
    for act in draft.acts:
        if isinstance(act.action, SetLR):
            factors = {act.action.schedule(at / (SAMPLES - 1)) for at in range(SAMPLES)}
            if factors == {1.0}:
                yield say(act.at("final"), "the factor is 1 all along, so the learning rate stays", "Leave it out.")
            if factors == {0.0}:
                yield say(act.at("final"), "the factor is 0 all along, so nothing trains", "Did you mean 1 to 0?")
