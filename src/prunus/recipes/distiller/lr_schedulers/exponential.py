"""ExponentialLR: the rate falls in every epoch."""

from __future__ import annotations

from dataclasses import dataclass

from prunus.errors import require_number
from prunus.recipes.distiller.rates import ByEpoch, power


@dataclass(frozen=True)
class ExponentialLR(ByEpoch):
    r"""Multiply the rate by γ in every epoch.

    .. math:: \eta(e) = \eta_0 \, \gamma^e

    Args:
        gamma: γ, at least 0.
        relative: count from the policy's first epoch.

    Raises:
        SettingError: γ is negative.

    >>> [ExponentialLR(0.5).rate(1.0, epoch) for epoch in range(4)]
    [1.0, 0.5, 0.25, 0.125]
    """

    gamma: float

    def __post_init__(self) -> None:
        require_number("gamma", self.gamma, 0.0)

    def rate(self, base: float, epoch: int, group: int = 0) -> float:
        """Return the rate in an epoch."""
        return base * power(self.gamma, epoch)
