"""CosineAnnealingWarmRestarts: the rate falls along half a cosine, again and again."""

from __future__ import annotations

import math
from dataclasses import dataclass

from prunus.errors import require_count, require_number
from prunus.recipes.distiller.rates import ByEpoch


@dataclass(frozen=True)
class CosineAnnealingWarmRestarts(ByEpoch):
    r"""Let the rate fall along half a cosine, and start anew after ``T_0`` epochs, then after ``T_mult`` times as many.

    .. math:: \eta(e) = \eta_{min} + \frac{\eta_0 - \eta_{min}}{2} \Big(1 + \cos \frac{\pi \, T_{cur}}{T_i}\Big)

    with T_cur epochs since the last restart, and T_i from there to the next. Restarts are counted in whole numbers:
    torch takes a logarithm, which can miss one by an epoch.

    Args:
        T_0: epochs to the first restart, at least 1.
        T_mult: by which factor the distance grows, a whole number of at least 1.
        eta_min: the lowest rate, at least 0.
        relative: count from the policy's first epoch.

    Raises:
        SettingError: a value outside its range.

    Source: Loshchilov and Hutter 2017 (arXiv:1608.03983).

    >>> [round(CosineAnnealingWarmRestarts(2, T_mult=2).rate(1.0, epoch), 3) for epoch in range(7)]
    [1.0, 0.5, 1.0, 0.854, 0.5, 0.146, 1.0]
    """

    T_0: int
    T_mult: int = 1
    eta_min: float = 0.0

    def __post_init__(self) -> None:
        require_count("T_0", self.T_0)
        require_count("T_mult", self.T_mult)
        require_number("eta_min", self.eta_min, 0.0)

    def rate(self, base: float, epoch: int, group: int = 0) -> float:
        """Return the rate in an epoch."""
        since, length = self._since_restart(epoch)
        return self.eta_min + (base - self.eta_min) * (1.0 + math.cos(math.pi * since / length)) / 2.0

    def _since_restart(self, epoch: int) -> tuple[int, int]:
        """Return the epochs since the last restart, and from there to the next."""
        if self.T_mult == 1:
            return epoch % self.T_0, self.T_0
        length = self.T_0
        while epoch >= length:
            epoch, length = epoch - length, length * self.T_mult
        return epoch, length
