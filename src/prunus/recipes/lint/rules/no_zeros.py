"""no-zeros: a policy that prunes nothing."""

from __future__ import annotations

from collections.abc import Iterator

from prunus.recipes.faults import Fault
from prunus.recipes.lint.acts import Draft, say


def no_zeros(draft: Draft) -> Iterator[Fault]:
    """A policy ends at a sparsity of 0, so that it prunes nothing.

    >>> list(no_zeros(Draft("native", ())))
    []
    """
    for act in draft.acts:
        if act.goals and all(goal.last == 0.0 for goal in act.goals.values()):
            yield say(act.at("schedule", "final"), "it ends at a sparsity of 0, so it prunes nothing", "Leave it out.")
