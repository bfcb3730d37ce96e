"""From a file of Distiller's, or the same as a mapping, to a scheduler; or to a list of what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from prunus.errors import RecipeError
from prunus.recipes.distiller.document import lines_of
from prunus.recipes.distiller.fitting import Fitting
from prunus.recipes.distiller.meeting import check_lines
from prunus.recipes.distiller.scheduler import DistillerScheduler
from prunus.recipes.faults import Fault, Report
from prunus.recipes.sources import tree_of


def load(
    model: nn.Module,
    optimizer: torch.optim.Optimizer | None,
    source: str | Path | Mapping[str, Any] | None = None,
    *,
    steps_per_epoch: int | None = None,
    epochs: int | None = None,
) -> DistillerScheduler:
    """Return a scheduler with the policies of a compression schedule as Distiller writes them.

    Args:
        model: the model; ``module.`` in names may be there or not, on either side.
        optimizer: its optimizer.
        source: path of a file; YAML text, which is a string with a line break; the same as a mapping, which stays as it
            is; None for a scheduler without policies, to which ``add_policy`` adds some.
        steps_per_epoch, epochs: as for the engine; not needed with Distiller's callbacks.

    Raises:
        RecipeError: everything that is wrong, with file, line and column. What changes nothing is warned as NoEffect;
            what a reader should know is in ``scheduler.notices``.

    >>> model = nn.Sequential(nn.Linear(4, 4))
    >>> schedule = '''
    ... version: 1
    ... pruners:
    ...   mine: {class: AutomatedGradualPruner, initial_sparsity: 0.25, final_sparsity: 0.5, weights: module.0.weight}
    ... policies:
    ...   - pruner: {instance_name: mine}
    ...     starting_epoch: 0
    ...     ending_epoch: 2
    ...     frequency: 1
    ... '''
    >>> scheduler = load(model, torch.optim.SGD(model.parameters(), lr=0.1), schedule)
    >>> scheduler.on_epoch_begin(0)
    >>> scheduler.sparsity()
    0.25
    >>> print(scheduler.notices[0].message)
    1 names differ from the model's in 'module.' alone and are matched: 'module.0.weight' is '0.weight'
    """
    scheduler = DistillerScheduler(model, optimizer, steps_per_epoch=steps_per_epoch, epochs=epochs)
    if source is not None:
        report = Report(last_key_wins=True)
        scheduler.add_lines(lines_of(tree_of(source, report), report), report)
    return scheduler


def check(
    source: str | Path | Mapping[str, Any],
    model: nn.Module | None = None,
    optimizer: torch.optim.Optimizer | None = None,
) -> list[Fault]:
    """Return all faults, warnings and notices of a schedule in the order of the file; raise nothing.

    Without a model, names and shapes are not looked at; without an optimizer, its groups are not.

    >>> print(*check("policies:\\n- prunner: {}\\n"), sep="\\n")
    <text>:2:3: unknown key 'prunner' of policies[0]. Did you mean 'pruner'?
    <text>:2:12: pruner of policies[0] lacks instance_name
    """
    report = Report(last_key_wins=True)
    try:
        lines = lines_of(tree_of(source, report), report)
        if model is None:
            check_lines(lines, report)
        else:
            Fitting(model, optimizer, report).policies(lines)
    except RecipeError:
        pass
    return report.in_order()
