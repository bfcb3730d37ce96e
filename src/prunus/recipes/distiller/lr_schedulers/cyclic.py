"""CyclicLR: the rate goes up and down between two bounds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from prunus.errors import require_count, require_known, require_number
from prunus.recipes.building import UNREADABLE, settings
from prunus.recipes.distiller.contract import Remark
from prunus.recipes.distiller.functions import refuse_function
from prunus.recipes.distiller.groups import Value, fit_groups, fit_momentum, of_group, require_numbers
from prunus.recipes.distiller.rates import ByEpoch, power
from prunus.recipes.faults import Place, Report
from prunus.recipes.nodes import Pair
from prunus.window import Span

MODES = ("triangular", "triangular2", "exp_range")


@dataclass(frozen=True)
class CyclicLR(ByEpoch):
    r"""Let the rate rise from ``base_lr`` to ``max_lr`` and fall back, again and again, each cycle scaled.

    .. math:: \eta(e) = base + (max - base) \, h(e) \, s(e)

    with h the height in the cycle, from 0 to 1 and back, and the scale s: 1 (triangular), 1 / 2^(cycle - 1)
    (triangular2) or γ^e (exp_range). Momentum goes the other way. The optimizer's own rate has no part in it.

    Args:
        base_lr, max_lr: the bounds, or one each for every parameter group; at least 0.
        step_size_up, step_size_down: epochs up and down, for Distiller steps once an epoch; None: as many as up.
        mode, gamma: the scale.
        scale_fn: a scale of your own, of the cycle (from 1) or, with scale_mode "iterations", of the epoch. In code
            only: a file cannot hold a function.
        scale_mode: what scale_fn is told.
        cycle_momentum: whether momentum moves, too.
        base_momentum, max_momentum: its bounds, in [0, 1].
        relative: count from the policy's first epoch.

    Raises:
        SettingError: a value outside its range, an unknown mode.

    Source: Smith 2017 (arXiv:1506.01186).

    >>> cycle = CyclicLR(0.0, 1.0, step_size_up=2, mode="triangular2")
    >>> [cycle.rate(0.1, epoch) for epoch in range(7)]
    [0.0, 0.5, 1.0, 0.5, 0.0, 0.25, 0.5]
    """

    base_lr: Value
    max_lr: Value
    step_size_up: int = 2000
    step_size_down: int | None = None
    mode: str = "triangular"
    gamma: float = 1.0
    scale_fn: Callable[[float], float] | None = None
    scale_mode: str = "cycle"
    cycle_momentum: bool = True
    base_momentum: Value = 0.8
    max_momentum: Value = 0.9

    def __post_init__(self) -> None:
        for name in ("base_lr", "max_lr"):
            require_numbers(name, getattr(self, name), 0.0)
        require_count("step_size_up", self.step_size_up)
        if self.step_size_down is not None:
            require_count("step_size_down", self.step_size_down, 0)
        require_known("mode", self.mode, MODES)
        require_number("gamma", self.gamma, 0.0)
        require_known("scale_mode", self.scale_mode, ("cycle", "iterations"))
        for name in ("base_momentum", "max_momentum"):
            require_numbers(name, getattr(self, name), 0.0, 1.0)

    @classmethod
    def read(cls, pairs: Mapping[str, Pair], name: str, place: Place, report: Report) -> Any:
        """Refuse a function, and look at the rest."""
        before = len(report.found)
        if "scale_fn" in pairs and pairs["scale_fn"].value.value is not None:
            refuse_function("scale_fn", pairs, name, place, report)
        made = settings(cls, {key: pair for key, pair in pairs.items() if key != "scale_fn"}, name, place, report)
        return made if len(report.found) == before else UNREADABLE

    @property
    def length(self) -> int:
        """Epochs of a cycle."""
        return self.step_size_up + (self.step_size_up if self.step_size_down is None else self.step_size_down)

    def fit_optimizer(self, optimizer: torch.optim.Optimizer, span: Span) -> Iterator[Remark]:
        """Refuse other numbers than of groups, or momentum where there is none; say what is counted."""
        momenta = {"base_momentum": self.base_momentum, "max_momentum": self.max_momentum}
        yield from fit_groups({"base_lr": self.base_lr, "max_lr": self.max_lr, **momenta}, optimizer)
        yield from fit_momentum(optimizer) if self.cycle_momentum else ()
        yield Remark(f"a cycle takes {self.length} epochs: Distiller steps once an epoch", severity="notice")
        yield from super().fit_optimizer(optimizer, span)

    def rate(self, base: float, epoch: int, group: int = 0) -> float:
        """Return the rate in an epoch."""
        low, high = of_group(self.base_lr, group), of_group(self.max_lr, group)
        return low + (high - low) * self._height(epoch)

    def momentum(self, epoch: int, group: int = 0) -> float | None:
        """Return the momentum in an epoch, if it moves."""
        low, high = of_group(self.base_momentum, group), of_group(self.max_momentum, group)
        return high - (high - low) * self._height(epoch) if self.cycle_momentum else None

    def _height(self, epoch: int) -> float:
        """Return how far from the lower to the upper bound the rate is, the scale included."""
        at = epoch % self.length
        rising = at <= self.step_size_up
        height = at / self.step_size_up if rising else (self.length - at) / (self.length - self.step_size_up)
        return height * self._scale(epoch // self.length + 1, epoch)

    def _scale(self, cycle: int, epoch: int) -> float:
        if self.scale_fn is not None:
            return float(self.scale_fn(cycle if self.scale_mode == "cycle" else epoch))
        if self.mode == "exp_range":
            return power(self.gamma, epoch)
        return 0.5 ** (cycle - 1) if self.mode == "triangular2" else 1.0
