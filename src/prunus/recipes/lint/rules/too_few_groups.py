"""too-few-groups: a share that is less than one group of a parameter."""

from __future__ import annotations

from collections.abc import Iterator

from prunus.actions import Prune
from prunus.keep import pruned_count
from prunus.recipes.faults import Fault
from prunus.recipes.lint.acts import Act, Draft, say
from prunus.scopes import PerLayer
from prunus.select import Target


def too_few_groups(draft: Draft) -> Iterator[Fault]:
    """The share that is to go of a parameter of the model is less than one of its groups, so nothing goes.

    >>> list(too_few_groups(Draft("native", ())))
    []
    """
    for act in draft.acts:
        if not isinstance(act.action, Prune) or act.action.scope != PerLayer():
            continue  # what reads Distiller's files says it of them
        for target in act.targets:
            count, goal = _groups(act, target), act.goals.get(target.name)
            if goal is not None and goal.last > 0 and count and not pruned_count(goal.last, count):
                message = f"{goal.last:g} of the {count} groups of {target.name} is less than one, so nothing goes"
                yield say(act.at(target.name, "final"), message, f"From {1 / count:.2g} on one goes.")


def _groups(act: Act, target: Target) -> int:
    shape = target.canonical(target.parameter).shape
    fits = act.structure is not None and not act.structure.misfit(shape)
    return act.structure.groups(shape) if fits else 0  # type: ignore[union-attr]
