"""How sparse a pruner makes its parameters, for those that aim at a share of zeros."""

from __future__ import annotations

from typing import NamedTuple

from prunus.recipes.distiller.contract import Component, Pruner
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
