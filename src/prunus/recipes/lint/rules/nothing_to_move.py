"""nothing-to-move: rewiring a model of which nothing is pruned."""

from __future__ import annotations

from collections.abc import Iterator

from prunus.actions import Prune, Rewire
from prunus.recipes.faults import Fault
from prunus.recipes.lint.acts import Act, Draft, say


def nothing_to_move(draft: Draft) -> Iterator[Fault]:
    """Weights are to move between living and dead, and nothing in the recipe prunes before.

    >>> list(nothing_to_move(Draft("native", ())))
    []
    """
    pruning = [act for act in draft.acts if isinstance(act.action, Prune)]
    for act in draft.acts:
        if isinstance(act.action, Rewire) and not any(_may_come_first(one, act, draft) for one in pruning):
            message = "it moves weights between living and dead, and nothing in this recipe prunes before it"
            yield say(act.at(), message, "Prune before it, at epoch 0 for instance, or start from a pruned model.")


def _may_come_first(pruning: Act, rewiring: Act, draft: Draft) -> bool:
    """Unless both are known, in one unit, and the pruning is the later one."""
    one, other = pruning.span(draft.run), rewiring.span(draft.run)
    same = pruning.policy.when.unit == rewiring.policy.when.unit
    return not (same and one is not None and other is not None and one.start > other.start)
