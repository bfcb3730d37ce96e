"""CosineAnnealingLR: the rate falls along half a cosine, and rises again."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from prunus.errors import require_count, require_number
from prunus.recipes.distiller.contract import Remark
from prunus.recipes.distiller.rates import ByEpoch
from prunus.window import Span


@dataclass(frozen=True)
class CosineAnnealingLR(ByEpoch):
    r"""Let the rate fall to ``eta_min`` along half a cosine in ``T_max`` epochs; in the next ``T_max`` it rises again.

    .. math:: \eta(e) = \eta_{min} + \frac{\eta_0 - \eta_{min}}{2} \Big(1 + \cos \frac{\pi e}{T_{max}}\Big)

    Args:
        T_max: epochs of the way down, at least 1.
        eta_min: the lowest rate, at least 0.
        relative: count from the policy's first epoch.

    Raises:
        SettingError: a value outside its range.

    Source: Loshchilov and Hutter 2017 (arXiv:1608.03983), without restarts.

    >>> [round(CosineAnnealingLR(4).rate(1.0, epoch), 12) for epoch in (0, 2, 4, 8)]
    [1.0, 0.5, 0.0, 1.0]
    """

    T_max: int
    eta_min: float = 0.0

    def __post_init__(self) -> None:
        require_count("T_max", self.T_max)
        require_number("eta_min", self.eta_min, 0.0)

    def fit_window(self, span: Span) -> Iterator[Remark]:
        """Say when the rate rises."""
        if self.last(span) > self.T_max:
            yield Remark(f"the rate rises again after epoch {self.T_max}, as in torch", severity="notice")

    def rate(self, base: float, epoch: int, group: int = 0) -> float:
        """Return the rate in an epoch."""
        return self.eta_min + (base - self.eta_min) * (1.0 + math.cos(math.pi * epoch / self.T_max)) / 2.0
