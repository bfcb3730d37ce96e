"""How sparse a pruner makes its parameters, for those that aim at a share of zeros."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from prunus.keep import pruned_count
from prunus.recipes.distiller.contract import Chosen, Component, Pruner, Remark
from prunus.recipes.distiller.pruners import AutomatedGradualPruner, SparsityLevelParameterPruner
from prunus.recipes.distiller.structured import Gradual, Settled, StructuredPruner
from prunus.structures import Element, Structure


class Goal(NamedTuple):
    """The share of zeros at the first and at the last firing of a policy.

    >>> Goal(0.0, 0.9).last
    0.9
    """

    first: float
    last: float


def goals_of(component: Component) -> dict[str, Goal]:
    """Return the share of zeros that a pruner aims at, by parameter name; none for those with thresholds.

    >>> goals_of(AutomatedGradualPruner(0.05, 0.8, "fc.weight"))
    {'fc.weight': Goal(first=0.05, last=0.8)}
    """
    if isinstance(component, SparsityLevelParameterPruner):
        return {name: Goal(level, level) for name, level in component.levels.items()}
    if isinstance(component, (AutomatedGradualPruner, Gradual)):
        return dict.fromkeys(component.names, Goal(component.initial_sparsity, component.final_sparsity))
    if isinstance(component, Settled):
        return dict.fromkeys(component.names, Goal(component.desired_sparsity, component.desired_sparsity))
    return {}


def structure_of(component: Component) -> Structure | None:
    """Return what a pruner drops together, or None for what is no pruner.

    >>> structure_of(AutomatedGradualPruner(0.05, 0.8, "fc.weight"))
    Element()
    """
    if isinstance(component, StructuredPruner):
        return component.structure
    return Element() if isinstance(component, Pruner) else None


def fit_goals(component: Component, chosen: Chosen) -> Iterator[Remark]:
    """Yield a warning for each named parameter of which less than one group is to go in the end, so nothing does.

    >>> list(fit_goals(AutomatedGradualPruner(0.05, 0.8, "fc.weight"), Chosen({})))
    []
    """
    if isinstance(component, StructuredPruner) and component.tosses:
        return
    goals, structure = goals_of(component), structure_of(component)
    for name, target in chosen.named.items() if structure else ():
        shape, last = target.parameter.shape, goals[name].last if name in goals else 0
        count = 0 if structure is None or structure.misfit(shape) else structure.groups(shape)
        if last > 0 and count and not pruned_count(last, count):
            found = f"{last:g} of the {count} groups of {target.name} is less than one"
            yield Remark(f"{found}, so nothing goes; from {1 / count:.2g} on one does", name, "warning")
