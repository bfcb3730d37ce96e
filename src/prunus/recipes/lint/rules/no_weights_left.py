"""no-weights-left: a policy that prunes all there is."""

from __future__ import annotations

from collections.abc import Iterator

from prunus.recipes.faults import Fault
from prunus.recipes.lint.acts import Draft, say


def no_weights_left(draft: Draft) -> Iterator[Fault]:
    """A policy ends at a sparsity of 1, so that nothing of what it prunes is left.

    >>> list(no_weights_left(Draft("native", ())))
    []
    """
    for act in draft.acts:
        emptied = [name for name, goal in act.goals.items() if goal.last == 1.0]
        if emptied:
            what = "all that it prunes" if len(emptied) == len(act.goals) else emptied[0]
            message = f"it ends at a sparsity of 1, so nothing is left of {what}"
            yield say(act.at("schedule", "final"), message, "Did you mean 0.99?")
