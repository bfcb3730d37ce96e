"""Which class becomes what: a converter each, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from prunus.actions import Action
from prunus.recipes.distiller.contract import Component
from prunus.recipes.distiller.converting.parts import Refusal, Subject
from prunus.recipes.distiller.converting.pruners import gradual, levels, ranked
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
from prunus.recipes.distiller.regularizers import L1Regularizer

Converter = Callable[[Any, Subject], Iterator[Action | Refusal]]

CONVERTERS: Mapping[type[Component], Converter] = {
    AutomatedGradualPruner: gradual,
    L1RankedStructureParameterPruner: ranked,
    L1RankedStructureParameterPruner_AGP: ranked,
    L1Regularizer: l1,
    L2RankedStructureParameterPruner: ranked,
    L2RankedStructureParameterPruner_AGP: ranked,
    SparsityLevelParameterPruner: levels,
}
"""Classes with an exact native equivalent."""


def converted(subject: Subject) -> Iterator[Action | Refusal]:
    """Yield the native actions of a line, or why there are none.

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
            yield from CONVERTERS[kind](component, subject)
            return
        if kind in REASONS:
            yield REASONS[kind]
            return
    yield Refusal("no native equivalent is known")
