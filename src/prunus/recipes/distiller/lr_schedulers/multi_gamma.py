"""MultiStepMultiGammaLR: the rate changes at given epochs, each time by a factor of its own."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from prunus.errors import SettingError
from prunus.recipes.distiller.contract import Remark
from prunus.recipes.distiller.groups import require_numbers
from prunus.recipes.distiller.milestones import fit_milestones, require_milestones
from prunus.recipes.distiller.rates import ByEpoch
from prunus.window import Span


@dataclass(frozen=True)
class MultiStepMultiGammaLR(ByEpoch):
    r"""Multiply the rate at each milestone by the factor that belongs to it: a class of Distiller's own.

    .. math:: \eta(e) = \eta_0 \prod_{m_i \le e} \gamma_i

    Args:
        milestones: epochs, in their order.
        gammas: as many factors, each at least 0.
        relative: count from the policy's first epoch.

    Raises:
        SettingError: no milestone, one before its predecessor, another number of factors, or a negative one.

    >>> [MultiStepMultiGammaLR((1, 3), (0.5, 2.0)).rate(1.0, epoch) for epoch in range(4)]
    [1.0, 0.5, 0.5, 1.0]
    """

    milestones: tuple[int, ...]
    gammas: tuple[float, ...]

    def __post_init__(self) -> None:
        require_milestones(self.milestones)
        if list(self.milestones) != sorted(self.milestones):
            raise SettingError(f"milestones are {list(self.milestones)}, expected epochs that rise")
        if len(self.gammas) != len(self.milestones):
            raise SettingError(
                f"gammas are {len(self.gammas)}, expected one for each of {len(self.milestones)} milestones"
            )
        require_numbers("gammas", self.gammas, 0.0)

    def fit_window(self, span: Span) -> Iterator[Remark]:
        """Say which milestones the policy does not live to see."""
        yield from fit_milestones(self.milestones, self.last(span))

    def rate(self, base: float, epoch: int, group: int = 0) -> float:
        """Return the rate in an epoch."""
        return base * math.prod(self.gammas[: bisect_right(self.milestones, epoch)])
