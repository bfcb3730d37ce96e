"""no-match: a pattern or layer type that nothing in the model has."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from prunus.actions import Action, Prune, Regularize, Rewire
from prunus.errors import SelectionError
from prunus.recipes.faults import Fault, Report
from prunus.recipes.lint.acts import Act, Draft
from prunus.select import Select, explain, targets


def no_match(draft: Draft) -> Iterator[Fault]:
    """A pattern or a layer type matches nothing in the model, or all that it matches stays out.

    >>> list(no_match(Draft("native", ())))
    []
    """
    for act in draft.acts if draft.language == "native" else ():
        select = selection(act.action)
        if select is not None and draft.model is not None:
            yield from _unmatched(act, select, draft.model)


def selection(action: Action) -> Select | None:
    """Return what an action says of its parameters, or None where it chooses none.

    >>> from prunus.schedules import OneShot
    >>> selection(Prune(OneShot(0.5))).include
    ('*',)
    """
    return action.select if isinstance(action, (Prune, Regularize, Rewire)) else None


def _unmatched(act: Act, select: Select, model: nn.Module) -> list[Fault]:
    report = Report()
    alone = [("include", at, one, Select((one,))) for at, one in enumerate(select.include)]
    alone += [("exclude", at, one, Select(exclude=(one,))) for at, one in enumerate(select.exclude)]
    alone += [("types", at, one, Select(types=(one,))) for at, one in enumerate(select.types)]
    for key, at, written, one in alone:
        try:
            explain(model, one)
        except SelectionError as error:
            report.refused(act.at("select", key, at), str(error).partition(": ")[2], written)
    if not report.found and not act.targets:
        try:
            targets(model, select)
        except SelectionError as error:
            report.add(act.at("select"), str(error))
    return report.found
