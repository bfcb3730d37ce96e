"""How a Bregman run begins: with sparse weights, or, resumed, with settings that may have changed meanwhile."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

import torch
from lightning.pytorch import LightningModule, Trainer
from torch.optim import Optimizer

from prunus.errors import NoEffect, SettingError
from prunus.integrations.lightning.bregman_lines import group_names
from prunus.optim import BregmanOptimizer
from prunus.select import PruningManager

SETTINGS = ("lamda", "lambda_scale")


def start_sparse(trainer: Trainer, module: LightningModule) -> dict[str, int]:
    """Let the module's ``pruning_manager`` zero what its groups ask for; every rank draws the same.

    Returns:
        How many pieces each parameter kept; empty when the module has no manager.

    Raises:
        SettingError: ``module.pruning_manager`` is something else.
    """
    manager = getattr(module, "pruning_manager", None)
    if manager is None:
        return {}
    if not isinstance(manager, PruningManager):
        raise SettingError(
            f"{type(module).__name__}.pruning_manager is {manager!r}, expected a prunus.select.PruningManager"
        )
    seed = trainer.strategy.broadcast(int(torch.randint(2**31, ())))
    return manager.apply_initial_sparsity(torch.Generator().manual_seed(seed))


def group_settings(optimizer: Optimizer) -> dict[str, list[float]]:
    """Return λ and lambda_scale of each group by name, as plain numbers; nothing for other optimizers.

    >>> from prunus.optim import LinBreg
    >>> from prunus.regularizers import RegL1
    >>> group_settings(LinBreg([torch.ones(1, requires_grad=True)], lr=0.1, reg=RegL1(0.5)))
    {'group0': [0.5, 1.0]}
    """
    if not isinstance(optimizer, BregmanOptimizer):
        return {}
    pairs = ([float(group["reg"].lamda), float(group["lambda_scale"])] for group in optimizer.param_groups)
    return dict(zip(group_names(optimizer), pairs, strict=True))


def warn_of_changes(
    saved: Mapping[str, Sequence[float]], given: Mapping[str, Sequence[float]], *, steered: bool
) -> None:
    """Warn NoEffect when groups are set up otherwise than in the run that is resumed, whose optimizer state wins.

    Args:
        saved: what the saved run was set up with, by group.
        given: what this one was set up with.
        steered: whether λ of the groups is steered, so that it does not count how they are set up.

    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     warn_of_changes({"fc": [0.1, 1.0]}, {"fc": [0.2, 1.0]}, steered=False)
    >>> str(caught[0].message).partition(":")[0]
    'the checkpoint goes on with its own groups, not with fc lamda=0.2 (saved 0.1)'
    """
    lost = [
        f"{name} {setting}={new} (saved {old})"
        for name in saved.keys() & given.keys()
        for setting, old, new in zip(SETTINGS, saved[name], given[name], strict=True)
        if old != new and not (steered and setting == "lamda")
    ]
    if lost:
        hint = "set them on trainer.optimizers[0] after the resume"
        text = f"the checkpoint goes on with its own groups, not with {', '.join(sorted(lost))}: to change them, {hint}"
        warnings.warn(text, NoEffect, stacklevel=2)
