"""PolynomialLR: the rate falls to zero along a power."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from prunus.errors import SettingError, require_count, require_number
from prunus.recipes.distiller.contract import Remark
from prunus.recipes.distiller.rates import ByEpoch
from prunus.window import Span


@dataclass(frozen=True)
class PolynomialLR(ByEpoch):
    r"""Let the rate fall to zero in T epochs along a power, and stay there.

    .. math:: \eta(e) = \eta_0 \Big(1 - \frac{\min(e, T)}{T}\Big)^{power}

    Distiller's class of this name calls T ``T_max``, torch's newer one ``total_iters``.

    Args:
        T_max: T, at least 1.
        power: at least 0; 1.0 is a line.
        total_iters: T in torch's words; one of both.
        relative: count from the policy's first epoch.

    Raises:
        SettingError: none of both names of T, or both, or a value outside its range.

    >>> [PolynomialLR(T_max=4, power=2.0).rate(1.0, epoch) for epoch in range(6)]
    [1.0, 0.5625, 0.25, 0.0625, 0.0, 0.0]
    """

    T_max: int | None = None
    power: float = 1.0
    total_iters: int | None = None

    def __post_init__(self) -> None:
        if (self.T_max is None) == (self.total_iters is None):
            found = "missing" if self.T_max is None else f"{self.T_max}, beside total_iters {self.total_iters}"
            raise SettingError(f"T_max is {found}, expected either T_max or, in torch's words, total_iters")
        require_count("total_iters" if self.T_max is None else "T_max", self.length)
        require_number("power", self.power, 0.0)

    @property
    def length(self) -> int:
        """The T of the formula."""
        return self.T_max or self.total_iters or 0

    def fit_window(self, span: Span) -> Iterator[Remark]:
        """Say when the rate is 0."""
        if self.last(span) > self.length:
            text = (
                f"the rate stays 0 from epoch {self.length} on; Distiller's formula rises again or has no value there"
            )
            yield Remark(text, severity="notice")

    def rate(self, base: float, epoch: int, group: int = 0) -> float:
        """Return the rate in an epoch."""
        return base * math.pow(1.0 - min(epoch, self.length) / self.length, self.power)
