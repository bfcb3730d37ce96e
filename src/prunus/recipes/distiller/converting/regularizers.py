"""The penalty that is the same in both languages."""

from __future__ import annotations

from collections.abc import Iterator

from prunus.actions import Action, Regularize
from prunus.recipes.distiller.converting.parts import Refusal, Subject
from prunus.recipes.distiller.regularizers import L1Regularizer
from prunus.regularizers import RegL1


def l1(component: L1Regularizer, subject: Subject) -> Iterator[Action | Refusal]:
    """Yield a penalty for every strength above 0.

    >>> from prunus.recipes.distiller.document import Line
    >>> from prunus.window import Window
    >>> regularizer = L1Regularizer({"fc1.weight": 0.1, "fc2.weight": 0.2})
    >>> [action.regularizer for action in l1(regularizer, Subject(Line(regularizer, Window(0, 9))))]
    [RegL1(lamda=0.1), RegL1(lamda=0.2)]
    """
    yield from subject.misfits(whole=False)
    if component.thresholds:
        text = "threshold_criteria removes weights after each mini-batch, which no native action does"
        yield Refusal(text, "Leave it out, and add a policy that prunes.", "threshold_criteria")
    strengths = component.reg_regims
    for strength in dict.fromkeys(strengths.values()):
        if strength:
            names = [name for name in strengths if strengths[name] == strength]
            yield Regularize(RegL1(strength), subject.select(names))
