"""One recipe for every loop: read it when it is given, start it when the model and its optimizer are there."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import nn

from prunus.actions import Action
from prunus.errors import Faults, RunError
from prunus.policy import Policy
from prunus.recipes.distiller.document import Line, lines_of
from prunus.recipes.distiller.scheduler import DistillerScheduler
from prunus.recipes.faults import Report
from prunus.recipes.languages import language_of
from prunus.recipes.reading import load
from prunus.recipes.sources import tree_of
from prunus.scheduler import CompressionScheduler


class Opened(ABC):
    """A recipe that has been read, whatever it came from.

    >>> from prunus.actions import Prune
    >>> from prunus.schedules import OneShot
    >>> isinstance(opened([Prune(OneShot(0.5))]), Opened)
    True
    """

    @abstractmethod
    def scheduler(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer | None,
        *,
        steps_per_epoch: int | None = None,
        epochs: int | None = None,
    ) -> CompressionScheduler:
        """Return the scheduler of this run; arguments as for :class:`prunus.scheduler.CompressionScheduler`."""


Source: TypeAlias = str | Path | Mapping[str, Any] | Sequence[Policy | Action] | CompressionScheduler | Opened
"""A recipe's path, text or mapping, in either language; what :func:`prunus.recipes.load` returned, or policies made in
code; a scheduler that is ready; or what is open already."""


def opened(source: Source) -> Opened:
    """Read a recipe now, so that its faults show now; make its scheduler later, in whatever loop.

    Args:
        source: a path, YAML text (a string with a line break) or a mapping, native or Distiller's, told apart by
            their keys; policies or bare actions; or a scheduler, which has to be of the model and optimizer of the run.

    Errors: RecipeError with every fault of a recipe that needs no model to be seen; the others come from ``scheduler``.

    >>> model = nn.Sequential(nn.Linear(4, 4))
    >>> recipe = opened({
    ...     "version": 1,
    ...     "pruners": {"half": {"class": "SparsityLevelParameterPruner", "levels": {"0.weight": 0.5}}},
    ...     "policies": [{"pruner": {"instance_name": "half"}, "epochs": [0]}],
    ... })
    >>> scheduler = recipe.scheduler(model, torch.optim.SGD(model.parameters(), lr=0.1))
    >>> [scheduler.sparsity() for epoch in scheduler.epochs(1)]
    [0.5]
    """
    if isinstance(source, Opened):
        return source
    if isinstance(source, CompressionScheduler):
        return _Ready(source)
    if not isinstance(source, (str, Path, Mapping)):
        return _Policies(tuple(source))
    if language_of(source) == "native":
        return _Policies(tuple(load(source)))
    report = Report(last_key_wins=True)
    lines = lines_of(tree_of(source, report), report)
    report.finish()
    return _Lines(tuple(lines), report)


@dataclass(frozen=True)
class _Policies(Opened):
    policies: tuple[Policy | Action, ...]

    def scheduler(
        self, model: nn.Module, optimizer: torch.optim.Optimizer | None, **length: int | None
    ) -> CompressionScheduler:
        return CompressionScheduler(model, self.policies, optimizer=optimizer, **length)


@dataclass(frozen=True)
class _Lines(Opened):
    lines: tuple[Line, ...]
    report: Report

    def scheduler(
        self, model: nn.Module, optimizer: torch.optim.Optimizer | None, **length: int | None
    ) -> CompressionScheduler:
        scheduler = DistillerScheduler(model, optimizer, **length)
        scheduler.add_lines(self.lines, deepcopy(self.report))  # which collects what is wrong with this model
        return scheduler


@dataclass(frozen=True)
class _Ready(Opened):
    ready: CompressionScheduler

    def scheduler(
        self, model: nn.Module, optimizer: torch.optim.Optimizer | None, **length: int | None
    ) -> CompressionScheduler:
        known = {"steps_per_epoch": self.ready.steps_per_epoch, "epochs": self.ready.total_epochs}
        faults = Faults("the scheduler was made for another run")
        for fault in self._misfits(model, optimizer, known, length):
            faults.add(fault)
        faults.raise_as(RunError)
        self.ready.steps_per_epoch = known["steps_per_epoch"] or length.get("steps_per_epoch")
        self.ready.total_epochs = known["epochs"] or length.get("epochs")
        return self.ready

    def _misfits(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer | None,
        known: Mapping[str, int | None],
        length: Mapping[str, int | None],
    ) -> Iterator[str]:
        mine, theirs = type(self.ready.model).__name__, type(model).__name__
        if all(self.ready.model is not part for part in model.modules()):
            yield f"its model, a {mine}, is no part of the {theirs} that trains"
        if self.ready.optimizer is None or self.ready.optimizer is not optimizer:
            yield "its optimizer is not the one that trains; make one object and give it to both"
        for name, said in known.items():
            if said is not None and length.get(name) not in (None, said):
                yield f"it was told {name}={said}, and this run has {length[name]}"
