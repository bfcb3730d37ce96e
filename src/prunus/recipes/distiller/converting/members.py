"""Which class becomes what: a converter each, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from prunus.actions import Action
from prunus.policy import Policy
from prunus.recipes.distiller.contract import Component
from prunus.recipes.distiller.converting.parts import Refusal, Subject
from prunus.recipes.distiller.converting.pruners import gradual, levels, ranked
from prunus.recipes.distiller.converting.rates import shares
from prunus.recipes.distiller.converting.reasons import REASONS
from prunus.recipes.distiller.converting.regularizers import l1
from prunus.recipes.distiller.pruners import (
    AutomatedGradualPruner,
    L1RankedStructureParameterPruner,
    L1RankedStructureParameterPruner_AGP,
    L2RankedStructureParameterPruner,
    L2RankedStructureParameterPruner_AGP,
    SparsityLevelParameterPruner,
)
from prunus.recipes.distiller.rates import ByEpoch
from prunus.recipes.distiller.regularizers import L1Regularizer

Converter = Callable[[Any, Subject], Iterator[Action | Policy | Refusal]]
"""Yields actions for the window of the line, or policies with windows of their own, or why there are none."""

CONVERTERS: Mapping[type[Component], Converter] = {
    AutomatedGradualPruner: gradual,
    ByEpoch: shares,
    L1RankedStructureParameterPruner: ranked,
    L1RankedStructureParameterPruner_AGP: ranked,
    L1Regularizer: l1,
    L2RankedStructureParameterPruner: ranked,
    L2RankedStructureParameterPruner_AGP: ranked,
    SparsityLevelParameterPruner: levels,
}
"""Classes, or bases of several, with an exact native equivalent."""


def converted(subject: Subject) -> Iterator[Policy | Refusal]:
    """Yield the native policies of a line, or why there are none.

    >>> from prunus.recipes.distiller.document import Line
    >>> from prunus.recipes.distiller.pruners import SensitivityPruner
    >>> from prunus.window import Window
    >>> [refusal] = converted(Subject(Line(SensitivityPruner({"fc.weight": 0.5}), Window(0, 9))))
    >>> refusal.message
    'a threshold decides how many weights go, and native policies prune to a sparsity'
    """
    component = subject.line.component
    for kind in type(component).__mro__:
        if kind in CONVERTERS:
            for found in CONVERTERS[kind](component, subject):
                yield Policy(found, subject.line.window) if isinstance(found, Action) else found
            return
        if kind in REASONS:
            yield REASONS[kind]
            return
    yield Refusal("no native equivalent is known")
