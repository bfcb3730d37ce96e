"""does-not-fit: a structure cannot split a parameter of the model."""

from __future__ import annotations

from collections.abc import Iterator

from prunus._groups import require_fit
from prunus.actions import Action, Prune, Regularize, Rewire
from prunus.errors import PrunusError
from prunus.recipes.faults import Fault
from prunus.recipes.lint.acts import Draft, say
from prunus.select import Target

SHOWN = 3
"""Parameters that are named; the shape of one tells most."""


def does_not_fit(draft: Draft) -> Iterator[Fault]:
    """A structure, or a regularizer's groups, cannot split a chosen parameter of the model.

    >>> list(does_not_fit(Draft("native", ())))
    []
    """
    for act in draft.acts if draft.language == "native" else ():
        reasons = [reason for target in act.targets if (reason := _reason(act.action, target))]
        if reasons:
            more = f"; and {len(reasons) - SHOWN} more" if len(reasons) > SHOWN else ""
            message = "; ".join(reasons[:SHOWN]) + more
            yield say(act.at("structure"), message, "Leave them out with select, or take another structure.", "error")


def _reason(action: Action, target: Target) -> str:
    try:
        if isinstance(action, (Prune, Rewire)):
            require_fit(target, action.structure)
        elif isinstance(action, Regularize):
            action.regularizer(target.canonical(target.parameter.detach()))
    except PrunusError as error:
        return str(error)
    return ""
