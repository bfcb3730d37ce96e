"""OneCycleLR: the rate rises to a peak and falls far below where it began."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch

from prunus.errors import SettingError, require_count, require_fraction, require_known, require_number
from prunus.recipes.distiller.contract import Remark
from prunus.recipes.distiller.groups import Value, fit_groups, fit_momentum, of_group, require_numbers
from prunus.recipes.distiller.rates import ByEpoch
from prunus.window import Span

LENGTHS = ("total_steps", "epochs", "steps_per_epoch")


@dataclass(frozen=True)
class OneCycleLR(ByEpoch):
    r"""Let the rate rise from max_lr / div_factor to ``max_lr``, and fall to 1 / final_div_factor of where it began.

    With N epochs in all, the peak is at pct_start·N - 1 and the end at N - 1, after which the rate stays. Momentum goes
    the other way, and back. The optimizer's own rate has no part in it.

    Args:
        max_lr: the peak, or one for each parameter group; at least 0.
        total_steps: N, for Distiller steps once an epoch; or else
        epochs, steps_per_epoch: whose product is N.
        pct_start: share of the way up, in [0, 1]; what leaves no epoch for it begins at the peak.
        anneal_strategy: "cos" or "linear".
        cycle_momentum: whether momentum moves, too.
        base_momentum, max_momentum: its bounds, in [0, 1].
        div_factor, final_div_factor: above 0.
        three_phase: fall to where it began in as many epochs as it rose, and only then to the end.
        relative: count from the policy's first epoch.

    Raises:
        SettingError: no length, or two, or a value outside its range.

    Source: Smith and Topin 2018 (arXiv:1708.07120).

    >>> cycle = OneCycleLR(1.0, 6, pct_start=0.5, div_factor=2, final_div_factor=5, anneal_strategy="linear")
    >>> [round(cycle.rate(0.1, epoch), 6) for epoch in range(6)]
    [0.5, 0.75, 1.0, 0.7, 0.4, 0.1]
    """

    max_lr: Value
    total_steps: int | None = None
    epochs: int | None = None
    steps_per_epoch: int | None = None
    pct_start: float = 0.3
    anneal_strategy: str = "cos"
    cycle_momentum: bool = True
    base_momentum: Value = 0.85
    max_momentum: Value = 0.95
    div_factor: float = 25.0
    final_div_factor: float = 1e4
    three_phase: bool = False

    def __post_init__(self) -> None:
        require_numbers("max_lr", self.max_lr, 0.0)
        self._require_length()
        require_fraction("pct_start", self.pct_start)
        require_known("anneal_strategy", self.anneal_strategy, ("cos", "linear"))
        for name in ("base_momentum", "max_momentum"):
            require_numbers(name, getattr(self, name), 0.0, 1.0)
        for name in ("div_factor", "final_div_factor"):
            require_number(name, getattr(self, name), 0.0, open_low=True)

    def _require_length(self) -> None:
        given = [name for name in LENGTHS if getattr(self, name) is not None]
        if given not in (["total_steps"], ["epochs", "steps_per_epoch"]):
            expected = "total_steps alone, or epochs and steps_per_epoch"
            raise SettingError(f"{given[0] if given else 'total_steps'} does not say the length, expected {expected}")
        for name in given:
            require_count(name, getattr(self, name))

    @property
    def length(self) -> int:
        """The N of the formula."""
        return self.total_steps or (self.epochs or 0) * (self.steps_per_epoch or 0)

    def fit_window(self, span: Span) -> Iterator[Remark]:
        """Refuse a policy that goes on after the cycle, where torch stops in the middle of the run."""
        if self.last(span) > self.length:
            yield Remark(f"the cycle has {self.length} epochs, and the policy sets the rate of epoch {self.last(span)}")

    def fit_optimizer(self, optimizer: torch.optim.Optimizer, span: Span) -> Iterator[Remark]:
        """Refuse other numbers than of groups, or momentum where there is none; say what is counted."""
        momenta = {"base_momentum": self.base_momentum, "max_momentum": self.max_momentum}
        yield from fit_groups({"max_lr": self.max_lr, **momenta}, optimizer)
        yield from fit_momentum(optimizer) if self.cycle_momentum else ()
        yield Remark(f"the cycle takes {self.length} epochs: Distiller steps once an epoch", severity="notice")
        yield from super().fit_optimizer(optimizer, span)

    def rate(self, base: float, epoch: int, group: int = 0) -> float:
        """Return the rate in an epoch."""
        peak = of_group(self.max_lr, group)
        begin = peak / self.div_factor
        down = [begin] if self.three_phase else []
        return self._between([begin, peak, *down, begin / self.final_div_factor], epoch)

    def momentum(self, epoch: int, group: int = 0) -> float | None:
        """Return the momentum in an epoch, if it moves."""
        low, high = of_group(self.base_momentum, group), of_group(self.max_momentum, group)
        stay = [high] if self.three_phase else []
        return self._between([high, low, high, *stay], epoch) if self.cycle_momentum else None

    def _between(self, values: Sequence[float], epoch: int) -> float:
        """Return the value of an epoch on the way from each of the values to the next."""
        rise = self.pct_start * self.length - 1
        ends = [0.0, rise, *([2 * rise] if self.three_phase else []), self.length - 1.0]
        legs = list(pairwise(zip(ends, values, strict=True)))
        (start, one), (end, other) = next((leg for leg in legs if epoch <= leg[1][0]), legs[-1])
        share = min(1.0, (epoch - start) / (end - start)) if end != start else 1.0
        return _bent(one, other, share) if self.anneal_strategy == "cos" else one + (other - one) * share


def _bent(one: float, other: float, share: float) -> float:
    return other + (one - other) / 2 * (1.0 + math.cos(math.pi * share))
