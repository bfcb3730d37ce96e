"""LambdaLR: the rate is the base rate times a function."""

from __future__ import annotations

from dataclasses import dataclass

from prunus.recipes.distiller.functions import OfFunction
from prunus.recipes.distiller.rates import ByEpoch


@dataclass(frozen=True)
class LambdaLR(OfFunction, ByEpoch):
    r"""Multiply the base rate by a function of the epoch.

    .. math:: \eta(e) = \eta_0 \, f(e)

    Args:
        lr_lambda: f, or one for each parameter group. In code only: a file cannot hold a function.
        relative: count from the policy's first epoch.

    Raises:
        SettingError: f is no function.

    >>> LambdaLR(lambda epoch: 1 / (1 + epoch)).rate(1.0, 3)
    0.25
    """

    def rate(self, base: float, epoch: int, group: int = 0) -> float:
        """Return the rate in an epoch."""
        return base * self.factor(epoch, group)
