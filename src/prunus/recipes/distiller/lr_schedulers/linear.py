"""LinearLR: the rate goes along a line in the first epochs."""

from __future__ import annotations

from dataclasses import dataclass

from prunus.errors import require_count, require_fraction, require_number
from prunus.recipes.distiller.rates import ByEpoch


@dataclass(frozen=True)
class LinearLR(ByEpoch):
    r"""Multiply the rate by a factor that goes from ``start_factor`` to ``end_factor`` along a line: a warm-up.

    .. math:: \eta(e) = \eta_0 \Big(f_s + (f_e - f_s) \frac{\min(e, total\_iters)}{total\_iters}\Big)

    Args:
        start_factor: f_s, in (0, 1].
        end_factor: f_e, in [0, 1].
        total_iters: epochs of the line, at least 1.
        relative: count from the policy's first epoch; otherwise the run begins with the first factor.

    Raises:
        SettingError: a value outside its range.

    >>> [LinearLR(0.5, total_iters=2).rate(1.0, epoch) for epoch in range(4)]
    [0.5, 0.75, 1.0, 1.0]
    """

    start_factor: float = 1 / 3
    end_factor: float = 1.0
    total_iters: int = 5

    def __post_init__(self) -> None:
        require_number("start_factor", self.start_factor, 0.0, 1.0, open_low=True)
        require_fraction("end_factor", self.end_factor)
        require_count("total_iters", self.total_iters)

    def rate(self, base: float, epoch: int, group: int = 0) -> float:
        """Return the rate in an epoch."""
        share = min(epoch, self.total_iters) / self.total_iters
        return base * (self.start_factor + (self.end_factor - self.start_factor) * share)
