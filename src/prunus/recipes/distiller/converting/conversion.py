"""A file of Distiller's to a native recipe that does the same, or to the reasons why there is none."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from prunus.actions import Action
from prunus.errors import RecipeError
from prunus.policy import Policy
from prunus.recipes.distiller.converting.members import converted
from prunus.recipes.distiller.converting.parts import Refusal, Subject
from prunus.recipes.distiller.converting.policies import of_args, of_pairs
from prunus.recipes.distiller.document import Line, lines_of
from prunus.recipes.distiller.fitting import Fitting
from prunus.recipes.distiller.meeting import check_lines, with_levels
from prunus.recipes.distiller.names import WRAPPER
from prunus.recipes.faults import Fault, Report
from prunus.recipes.recipe import Recipe
from prunus.recipes.sources import tree_of

CODE = "no-equivalent"
"""The code of what has no native equivalent."""


@dataclass(frozen=True)
class Conversion:
    """What became of a file: the recipe, or None where something has no equivalent, and all that is to be said.

    >>> Conversion(None, ()).recipe is None
    True
    """

    recipe: Recipe | None
    faults: tuple[Fault, ...]


def convert(source: str | Path | Mapping[str, Any], model: nn.Module | None = None) -> Conversion:
    """Return the native recipe that gives the same masks as a compression schedule of Distiller's.

    Args:
        source: path, YAML text (a string with a line break) or mapping.
        model: with it, names, shapes and ``*`` are looked up; without it ``module.`` is left out of names.

    Each definition becomes an action with its name, each policy a policy with the same window. Whatever has no exact
    equivalent is an error among the faults, with its place, and then there is no recipe: nothing else is put in its
    place. Nothing is raised.

    >>> schedule = '''
    ... pruners:
    ...   fc: {class: AutomatedGradualPruner, initial_sparsity: 0.05, final_sparsity: 0.8, weights: module.fc.weight}
    ... policies:
    ...   - {pruner: {instance_name: fc}, starting_epoch: 0, ending_epoch: 38, frequency: 2}
    ... '''
    >>> print(convert(schedule).recipe.to_yaml(), end="")
    version: 1
    actions:
      fc:
        prune:
          schedule:
            cubic: {final: 0.8, initial: 0.05}
          scope: per_layer
          select:
            include: [fc.weight]
    policies:
    - action: $fc
      window: {end: 38, frequency: 2}
    """
    report = Report(last_key_wins=True)
    policies: list[tuple[Line, Policy]] = []
    with suppress(RecipeError):
        subjects = _subjects(lines_of(tree_of(source, report), report), model, report)
        found = [(subject, _policies(subject, report)) for subject in subjects]
        for line, refusal in of_pairs([subject for subject, some in found if some]):
            _refuse(line, refusal, report)
        policies = [(subject.line, policy) for subject, some in found for policy in some]
    faults = tuple(report.in_order())
    failed = not policies or any(fault.severity == "error" for fault in faults)
    return Conversion(None if failed else _recipe(policies), faults)


def _subjects(lines: Sequence[Line], model: nn.Module | None, report: Report) -> list[Subject]:
    if model is None:
        check_lines(lines, report)
        _say_unwrapped(lines, report)
        return [Subject(with_levels(line, Report())) for line in lines]
    parameters = list(model.parameters())
    fitting = Fitting(model, torch.optim.SGD(parameters, lr=0.1) if parameters else None, report)
    fitting.policies(lines)
    return [Subject(line, fitting.choose(line)) for line in (with_levels(line, Report()) for line in lines)]


def _policies(subject: Subject, report: Report) -> list[Policy]:
    found = [*of_args(subject.line), *converted(subject)]
    for one in found:
        if isinstance(one, Refusal):
            _refuse(subject.line, one, report)
    return [one for one in found if isinstance(one, Policy)]


def _refuse(line: Line, refusal: Refusal, report: Report) -> None:
    name = type(line.component).__name__
    place = line.places.get(refusal.name, line.place)
    report.keep(Fault(place, f"{name} of {line.name}: {refusal.message}", refusal.suggestion, code=CODE))


def _say_unwrapped(lines: Sequence[Line], report: Report) -> None:
    wrapped = [(line, name) for line in lines for name in line.component.names if WRAPPER in name.split(".")]
    if wrapped:
        line, name = wrapped[0]
        text = f"'module.' is left out of {len(wrapped)} names, such as {name!r}; with a model they are looked up"
        report.add(line.places.get(name, line.place), text, severity="notice")


def _recipe(policies: Sequence[tuple[Line, Policy]]) -> Recipe:
    """Each action has the name of the definition that it came from, with a number where there are several."""
    names: dict[str, Action] = {}
    for line, policy in policies:
        if policy.action not in names.values():
            names[_free(_name(line), names)] = policy.action
    return Recipe([policy for _, policy in policies], {"actions": names})


def _name(line: Line) -> str:
    """Return the name in the file as a recipe may have it: it begins with a letter."""
    plain = re.sub(r"[^A-Za-z0-9_-]", "_", line.called)
    return plain if re.match("[A-Za-z_]", plain) else f"_{plain}"


def _free(name: str, taken: Mapping[str, Action]) -> str:
    numbered = (name if at == 1 else f"{name}_{at}" for at in range(1, len(taken) + 2))
    return next(one for one in numbered if one not in taken)
