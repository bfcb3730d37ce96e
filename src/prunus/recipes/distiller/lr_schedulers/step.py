"""StepLR: the rate falls every so many epochs."""

from __future__ import annotations

from dataclasses import dataclass

from prunus.errors import require_count, require_number
from prunus.recipes.distiller.rates import ByEpoch, power


@dataclass(frozen=True)
class StepLR(ByEpoch):
    r"""Multiply the rate by γ every ``step_size`` epochs.

    .. math:: \eta(e) = \eta_0 \, \gamma^{\lfloor e / step\_size \rfloor}

    Args:
        step_size: epochs between two steps, at least 1.
        gamma: γ, at least 0.
        relative: count from the policy's first epoch.

    Raises:
        SettingError: a value outside its range.

    >>> [round(StepLR(2).rate(1.0, epoch), 12) for epoch in range(5)]
    [1.0, 1.0, 0.1, 0.1, 0.01]
    """

    step_size: int
    gamma: float = 0.1

    def __post_init__(self) -> None:
        require_count("step_size", self.step_size)
        require_number("gamma", self.gamma, 0.0)

    def rate(self, base: float, epoch: int, group: int = 0) -> float:
        """Return the rate in an epoch."""
        return base * power(self.gamma, epoch // self.step_size)
