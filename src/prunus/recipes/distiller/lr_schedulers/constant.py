"""ConstantLR: a smaller rate in the first epochs."""

from __future__ import annotations

from dataclasses import dataclass

from prunus.errors import require_count, require_fraction
from prunus.recipes.distiller.rates import ByEpoch


@dataclass(frozen=True)
class ConstantLR(ByEpoch):
    r"""Multiply the rate by a factor before epoch ``total_iters``, and leave it from there on.

    .. math:: \eta(e) = \eta_0 \, factor \;\text{ for } e < total\_iters,\quad \eta_0 \;\text{ else}

    Args:
        factor: in [0, 1].
        total_iters: epochs, at least 0.
        relative: count from the policy's first epoch; otherwise the run begins with the smaller rate.

    Raises:
        SettingError: a value outside its range.

    >>> [ConstantLR(0.5, 2).rate(1.0, epoch) for epoch in range(4)]
    [0.5, 0.5, 1.0, 1.0]
    """

    factor: float = 1 / 3
    total_iters: int = 5

    def __post_init__(self) -> None:
        require_fraction("factor", self.factor)
        require_count("total_iters", self.total_iters, 0)

    def rate(self, base: float, epoch: int, group: int = 0) -> float:
        """Return the rate in an epoch."""
        return base if epoch >= self.total_iters else base * self.factor
