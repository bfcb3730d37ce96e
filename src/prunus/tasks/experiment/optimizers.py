"""What a LightningModule's ``configure_optimizers`` returns, from the nodes of a configuration."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from prunus.errors import Faults, SettingError, did_you_mean
from prunus.optim import BregmanOptimizer
from prunus.select import PruningManager

EXTRAS = ("monitor", "interval", "frequency", "strict", "name")
"""What Lightning reads beside a learning rate scheduler."""


@dataclass(frozen=True)
class Optimization:
    """An optimizer, its learning rate schedule, and the groups that its regularizers act on.

    Parameters: ``optimizer``; ``lr_scheduler`` as Lightning reads it; ``pruning_manager``. The last two may be None.

    >>> made = optimization(nn.Linear(2, 2), lambda params: __import__("torch").optim.SGD(params, lr=0.1))
    >>> sorted(made.for_lightning())
    ['optimizer']
    """

    optimizer: Optimizer
    lr_scheduler: Mapping[str, Any] | None = None
    pruning_manager: PruningManager | None = None

    def for_lightning(self) -> dict[str, Any]:
        """Return what ``configure_optimizers`` has to return."""
        found: dict[str, Any] = {"optimizer": self.optimizer}
        return found if self.lr_scheduler is None else {**found, "lr_scheduler": dict(self.lr_scheduler)}


def optimization(
    module: nn.Module,
    optimizer: Callable[[Iterable[Any]], Optimizer],
    lr_scheduler: Mapping[str, Any] | None = None,
    pruning_groups: Sequence[Mapping[str, Any]] | None = None,
) -> Optimization:
    """Make the optimizer of a module, with its pruning groups if there are any, and its learning rate schedule.

    Args:
        module: whose parameters are trained.
        optimizer: makes the optimizer from parameters or groups (``_partial_: true``).
        lr_scheduler: ``scheduler``, which makes it from the optimizer, and ``extras`` (monitor, interval, frequency).
        pruning_groups: settings of :class:`prunus.select.PruningManager`; they need an optimizer of prunus.optim.

    Errors: SettingError for groups that the optimizer would ignore, and for unknown keys, each with the nearest;
    SelectionError as PruningManager.

    >>> from functools import partial
    >>> import torch
    >>> from prunus.optim import AdaBreg
    >>> from prunus.regularizers import RegL1
    >>> groups = [{"name": "weights", "param_names": ["weight"], "optimizer_settings": {"reg": RegL1(0.1)}}]
    >>> made = optimization(nn.Linear(2, 2), partial(AdaBreg, lr=0.1), pruning_groups=groups)
    >>> [group["reg"].name for group in made.optimizer.param_groups]
    ['l1', 'none']
    """
    if pruning_groups is None:
        made = Optimization(optimizer(module.parameters()))
    else:
        manager = PruningManager(module, pruning_groups)
        made = Optimization(optimizer(manager.get_optimizer_param_groups()), pruning_manager=manager)
        if not isinstance(made.optimizer, BregmanOptimizer):
            kind = type(made.optimizer).__name__
            raise SettingError(f"pruning_groups regularise an optimizer of prunus.optim; {kind} would ignore them")
    if lr_scheduler is None:
        return made
    return Optimization(made.optimizer, _scheduler(made.optimizer, lr_scheduler), made.pruning_manager)


def _scheduler(optimizer: Optimizer, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The dict that Lightning reads, from ``scheduler`` and ``extras``."""
    faults = Faults("lr_scheduler")
    extras = settings.get("extras") or {}
    for name in settings.keys() - {"scheduler", "extras"}:
        faults.add(f"{name} is unknown. {did_you_mean(name, ('scheduler', 'extras'))}")
    for name in extras.keys() - set(EXTRAS):
        faults.add(f"extras.{name} is unknown. {did_you_mean(name, EXTRAS)}")
    make: Callable[[Optimizer], LRScheduler] | None = settings.get("scheduler")
    if make is None:
        faults.add("scheduler is missing: a torch.optim.lr_scheduler with _partial_: true")
    faults.raise_as(SettingError)
    assert make is not None
    return {"scheduler": make(optimizer), **extras}
