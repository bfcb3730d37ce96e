"""Pruners that rank by magnitude, parameter by parameter: ``prune`` with the scope ``per_layer``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from prunus.actions import Action, Prune
from prunus.criteria import Magnitude
from prunus.recipes.distiller.converting.parts import Refusal, Subject
from prunus.recipes.distiller.keyed import ALL
from prunus.recipes.distiller.pruners import (
    AutomatedGradualPruner,
    L1RankedStructureParameterPruner,
    L1RankedStructureParameterPruner_AGP,
    L2RankedStructureParameterPruner,
    L2RankedStructureParameterPruner_AGP,
    SparsityLevelParameterPruner,
)
from prunus.recipes.distiller.structured import Gradual
from prunus.schedules import Cubic, OneShot, Schedule
from prunus.scopes import PerLayer
from prunus.structures import STRUCTURES, Element, Structure

Ranked = (
    L1RankedStructureParameterPruner
    | L1RankedStructureParameterPruner_AGP
    | L2RankedStructureParameterPruner
    | L2RankedStructureParameterPruner_AGP
)


def gradual(component: AutomatedGradualPruner, subject: Subject) -> Iterator[Action | Refusal]:
    """Yield the cubic ramp on single weights.

    >>> from prunus.recipes.distiller.document import Line
    >>> from prunus.window import Window
    >>> pruner = AutomatedGradualPruner(0.1, 0.9, "fc.weight")
    >>> [action.schedule for action in gradual(pruner, Subject(Line(pruner, Window(0, 9))))]
    [Cubic(final=0.9, initial=0.1)]
    """
    yield from subject.misfits(whole=False)
    yield _prune(Cubic(component.final_sparsity, component.initial_sparsity), component.names, subject)


def levels(component: SparsityLevelParameterPruner, subject: Subject) -> Iterator[Action | Refusal]:
    """Yield a cut for every level above 0.

    >>> from prunus.recipes.distiller.document import Line
    >>> from prunus.window import Window
    >>> pruner = SparsityLevelParameterPruner({"fc1.weight": 0.5, "fc2.weight": 0.9, "fc3.weight": 0.5})
    >>> [action.select.include for action in levels(pruner, Subject(Line(pruner, Window(0, 9))))]
    [('fc1.weight', 'fc3.weight'), ('fc2.weight',)]
    """
    yield from subject.misfits(whole=False)
    if component.everything and subject.chosen is None:
        text = "'*' means every other parameter, and without a model nobody knows which those are"
        yield Refusal(text, "Name the model: --model module:factory.", ALL)
        return
    for level, names in _by_level(component.levels, subject).items():
        yield _prune(OneShot(level), names, subject)


def ranked(component: Ranked, subject: Subject) -> Iterator[Action | Refusal]:
    """Yield the pruning of whole structures by their mean absolute weight, or their length.

    >>> from prunus.recipes.distiller.document import Line
    >>> from prunus.window import Window
    >>> pruner = L2RankedStructureParameterPruner(group_type="Filters", desired_sparsity=0.5, weights="conv.weight")
    >>> [(action.structure, action.criterion) for action in ranked(pruner, Subject(Line(pruner, Window(0, 9))))]
    [(Filter(), Magnitude(p=2, average=False))]
    """
    refusals = [*_refusals(component), *subject.misfits(whole=True)]
    yield from refusals
    criterion = component.criterion()
    structure = _registered(component.structure)
    if not refusals and structure is not None and isinstance(criterion, Magnitude):
        yield _prune(_schedule(component), component.names, subject, criterion, structure)


def _refusals(component: Ranked) -> Iterator[Refusal]:
    if component.group_dependency is not None and len(component.names) > 1:
        text = "a Leader decides for others, and native recipes rank every parameter by itself"
        yield Refusal(text, "Without group_dependency each is ranked by itself.", "group_dependency")
    if not isinstance(component.criterion(), Magnitude):
        yield Refusal("noise in the ranking has no native equivalent", "Leave noise out.", "noise")
    if _registered(component.structure) is None:
        text = "blocks of several kernels have no native equivalent: a native block is a tile of rows and columns"
        yield Refusal(text, "Blocks over filters, [n, 1, 1, 1], have one.", "kwargs")


def _schedule(component: Ranked) -> Schedule:
    if isinstance(component, Gradual):
        return Cubic(component.final_sparsity, component.initial_sparsity)
    return OneShot(component.desired_sparsity)


def _registered(structure: Structure) -> Structure | None:
    """Blocks of one weight are single weights; what has no name in recipes cannot be written."""
    if structure.members((64, 64, 1, 1)) == 1:
        return Element()
    return structure if type(structure) in STRUCTURES.values() else None


def _by_level(levels: Mapping[str, float], subject: Subject) -> dict[float, list[str]]:
    """Return names by level, 0 left out; ``*`` stands for all that the model has besides."""
    rest = [target.name for target in subject.chosen.rest] if subject.chosen else []
    named = {name: level for name, level in levels.items() if name != ALL}
    every = {**named, **dict.fromkeys(rest, levels.get(ALL, 0.0))}
    return {level: [name for name in every if every[name] == level] for level in dict.fromkeys(every.values()) if level}


def _prune(
    schedule: Schedule,
    names: Iterable[str],
    subject: Subject,
    criterion: Magnitude = Magnitude(),
    structure: Structure = Element(),
) -> Prune:
    return Prune(schedule, criterion, structure, PerLayer(), subject.select(names))
