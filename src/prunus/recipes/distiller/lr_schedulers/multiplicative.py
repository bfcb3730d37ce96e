"""MultiplicativeLR: the rate of the epoch before times a function."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from prunus.recipes.distiller.contract import Rates
from prunus.recipes.distiller.functions import OfFunction
from prunus.recipes.distiller.groups import put


@dataclass(frozen=True)
class MultiplicativeLR(OfFunction):
    r"""Multiply the rate that the optimizer holds by a function of the epoch, each time that the policy fires.

    .. math:: \eta(e) = \eta(e - 1) \, f(e)

    Args:
        lr_lambda: f, or one for each parameter group. In code only: a file cannot hold a function.
        relative: count from the policy's first epoch.

    Raises:
        SettingError: f is no function.

    >>> optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    >>> rates = MultiplicativeLR(lambda epoch: 1 / epoch).rates(optimizer)
    >>> for epoch in (1, 2, 4):
    ...     rates.step(epoch, None)
    >>> optimizer.param_groups[0]["lr"]
    0.125
    """

    def rates(self, optimizer: torch.optim.Optimizer) -> Rates:
        """Return it at work."""
        return MultiplicativeRates(self, optimizer)


@dataclass(eq=False)
class MultiplicativeRates(Rates):
    """The running side, which needs no memory: the optimizer holds the rate before.

    >>> optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    >>> MultiplicativeRates(MultiplicativeLR(lambda epoch: 0.5), optimizer).state_dict()
    {}
    """

    scheduler: MultiplicativeLR
    optimizer: torch.optim.Optimizer

    def step(self, epoch: int, metrics: Mapping[str, float] | None) -> None:
        """Set the rates of an epoch."""
        for at, group in enumerate(self.optimizer.param_groups):
            put(group, "lr", float(group["lr"]) * self.scheduler.factor(epoch, at))
