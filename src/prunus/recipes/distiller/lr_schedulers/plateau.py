"""ReduceLROnPlateau: the rate falls when a figure stops getting better."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from prunus.errors import RunError, SettingError, require_count, require_known, require_number
from prunus.recipes.distiller.contract import LRScheduler, Rates, Remark
from prunus.recipes.distiller.groups import Value, fit_groups, of_group, put, require_numbers
from prunus.window import Span

LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class ReduceLROnPlateau(LRScheduler):
    r"""Multiply the rate by a factor when a figure has not got better for more than ``patience`` epochs.

    The figure is one of the ``metrics`` that ``on_epoch_end`` is given: Distiller's loops call it "min" (the loss) or
    "max" (the accuracy), as ``mode`` does. It is better when it passes the best one so far by the threshold. A figure
    that is NaN is no better.

    Args:
        mode: "min" or "max": which way is better.
        factor: in (0, 1).
        patience: epochs without anything better that are let pass, at least 0.
        verbose: whether each step down is logged.
        threshold: at least 0: a share of the best figure, or what is added to it (threshold_mode "abs").
        threshold_mode: "rel" or "abs".
        cooldown: epochs after a step down that do not count, at least 0.
        min_lr: the lowest rate, or one for each parameter group.
        eps: steps down by less than that are left out.
        metric: name of the figure, where it is another than the mode (not in Distiller).

    Raises:
        SettingError: a value outside its range, an unknown mode. RunError: the figure is not among the metrics.

    >>> optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    >>> rates = ReduceLROnPlateau(factor=0.5, patience=1).rates(optimizer)
    >>> for epoch, loss in enumerate([3.0, 2.0, 2.0, 2.0]):
    ...     rates.step(epoch + 1, {"min": loss})
    >>> optimizer.param_groups[0]["lr"]
    0.5
    """

    mode: str = "min"
    factor: float = 0.1
    patience: int = 10
    verbose: bool = False
    threshold: float = 1e-4
    threshold_mode: str = "rel"
    cooldown: int = 0
    min_lr: Value = 0.0
    eps: float = 1e-8
    metric: str | None = None

    def __post_init__(self) -> None:
        require_known("mode", self.mode, ("max", "min"))
        require_number("factor", self.factor, 0.0, open_low=True)
        if self.factor >= 1:
            raise SettingError(f"factor is {self.factor}, expected a number below 1")
        require_known("threshold_mode", self.threshold_mode, ("abs", "rel"))
        for name in ("patience", "cooldown"):
            require_count(name, getattr(self, name), 0)
        for name in ("threshold", "eps"):
            require_number(name, getattr(self, name), 0.0)
        require_numbers("min_lr", self.min_lr, 0.0)

    @property
    def figure(self) -> str:
        """The name of the figure."""
        return self.metric or self.mode

    def is_better(self, value: float, best: float) -> bool:
        """Say whether a figure passes the best one by the threshold."""
        sign = 1.0 if self.mode == "max" else -1.0
        bar = best * (1.0 + sign * self.threshold) if self.threshold_mode == "rel" else best + sign * self.threshold
        return value > bar if self.mode == "max" else value < bar

    def fit_optimizer(self, optimizer: torch.optim.Optimizer, span: Span) -> Iterator[Remark]:
        """Refuse other numbers than of groups."""
        yield from fit_groups({"min_lr": self.min_lr}, optimizer)

    def rates(self, optimizer: torch.optim.Optimizer) -> Rates:
        """Return it at work."""
        return PlateauRates(self, optimizer)


class PlateauRates(Rates):
    """The running side: the best figure, how long ago it was, and how long steps down have to wait.

    >>> optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    >>> PlateauRates(ReduceLROnPlateau(), optimizer).state_dict()
    {'best': inf, 'since': 0, 'wait': 0}
    """

    def __init__(self, scheduler: ReduceLROnPlateau, optimizer: torch.optim.Optimizer) -> None:
        self.scheduler, self.optimizer = scheduler, optimizer
        self.best = math.inf if scheduler.mode == "min" else -math.inf
        self.since = self.wait = 0

    def step(self, epoch: int, metrics: Mapping[str, float] | None) -> None:
        """Look at the figure, and step down where it is time."""
        value = self._figure(metrics or {})
        better = self.scheduler.is_better(value, self.best)
        self.best, self.since = (value, 0) if better else (self.best, self.since + 1)
        if self.wait:
            self.wait, self.since = self.wait - 1, 0
        if self.since > self.scheduler.patience:
            self._step_down(epoch)
            self.wait, self.since = self.scheduler.cooldown, 0

    def _figure(self, metrics: Mapping[str, float]) -> float:
        name = self.scheduler.figure
        if name not in metrics:
            found = ", ".join(metrics) or "none"
            raise RunError(
                f"ReduceLROnPlateau goes by the metric {name!r}, and the loop gave {found}: call "
                f'on_epoch_end(epoch, optimizer, metrics={{"{name}": ...}}), or epoch_end({{"{name}": ...}})'
            )
        return float(metrics[name])

    def _step_down(self, epoch: int) -> None:
        for at, group in enumerate(self.optimizer.param_groups):
            old = float(group["lr"])
            new = max(old * self.scheduler.factor, of_group(self.scheduler.min_lr, at))
            if old - new > self.scheduler.eps:
                put(group, "lr", new)
                LOG.log(logging.INFO if self.scheduler.verbose else logging.DEBUG, "epoch %d: rate %g", epoch, new)

    def state_dict(self) -> dict[str, Any]:
        """Return the best figure and the two counts."""
        return {"best": self.best, "since": self.since, "wait": self.wait}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what :meth:`state_dict` returned."""
        self.best, self.since, self.wait = float(state["best"]), int(state["since"]), int(state["wait"])
