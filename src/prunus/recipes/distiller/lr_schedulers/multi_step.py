"""MultiStepLR: the rate falls at given epochs."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from prunus.errors import require_number
from prunus.recipes.distiller.contract import Remark
from prunus.recipes.distiller.milestones import fit_milestones, require_milestones
from prunus.recipes.distiller.rates import ByEpoch, power
from prunus.window import Span


@dataclass(frozen=True)
class MultiStepLR(ByEpoch):
    r"""Multiply the rate by γ at each milestone.

    .. math:: \eta(e) = \eta_0 \, \gamma^{|\{m \le e\}|}

    Args:
        milestones: epochs, in any order; one that comes twice counts twice.
        gamma: γ, at least 0.
        relative: count from the policy's first epoch.

    Raises:
        SettingError: no milestone, or a value outside its range.

    >>> [round(MultiStepLR((1, 3)).rate(1.0, epoch), 12) for epoch in range(4)]
    [1.0, 0.1, 0.1, 0.01]
    """

    milestones: tuple[int, ...]
    gamma: float = 0.1

    def __post_init__(self) -> None:
        require_milestones(self.milestones)
        require_number("gamma", self.gamma, 0.0)

    def fit_window(self, span: Span) -> Iterator[Remark]:
        """Say which milestones the policy does not live to see."""
        yield from fit_milestones(self.milestones, self.last(span))

    def rate(self, base: float, epoch: int, group: int = 0) -> float:
        """Return the rate in an epoch."""
        return base * power(self.gamma, bisect_right(sorted(self.milestones), epoch))
