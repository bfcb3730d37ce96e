"""What learning-rate schedulers share: from which epoch they count, and how they set the groups of an optimizer."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import inf, isclose, isfinite
from typing import Any

import torch

from prunus.errors import RunError
from prunus.recipes.distiller.contract import LRScheduler, Rates, Remark
from prunus.recipes.distiller.groups import put, put_momentum
from prunus.window import Span


@dataclass(frozen=True, kw_only=True)
class Counted(LRScheduler):
    """Base of the schedulers that go by the number of the epoch.

    Args:
        relative: count from the policy's first epoch, not from the run's, which is Distiller's way.

    >>> from prunus.recipes.distiller.lr_schedulers import ExponentialLR
    >>> [ExponentialLR(0.9, relative=relative).offset(Span(24, 200)) for relative in (False, True)]
    [0, 24]
    """

    relative: bool = False

    def offset(self, span: Span) -> int:
        """Return the epoch of the run that counts as 0."""
        return span.start if self.relative else 0

    def last(self, span: Span) -> int:
        """Return the last epoch, as it counts, whose rate a policy with this window sets."""
        return span.firings()[-1] + 1 - self.offset(span)


@dataclass(frozen=True, kw_only=True)
class ByEpoch(Counted):
    """Base of the schedulers that know the rate of any epoch from the base rate alone.

    >>> from prunus.recipes.distiller.lr_schedulers import StepLR
    >>> round(StepLR(step_size=30).rate(0.1, 60), 12)
    0.001
    """

    @abstractmethod
    def rate(self, base: float, epoch: int, group: int = 0) -> float:
        """Return the rate of a group of the optimizer (by its place, from 0) in an epoch."""

    def momentum(self, epoch: int, group: int = 0) -> float | None:
        """Return the momentum of a group in an epoch, or None where it stays as it is."""
        return None

    def rates(self, optimizer: torch.optim.Optimizer) -> Rates:
        """Return it at work; base rates are those that the groups hold now."""
        return EpochRates(self, optimizer)

    def fit_optimizer(self, optimizer: torch.optim.Optimizer, span: Span) -> Iterator[Remark]:
        """Say what counting from the run's begin leads to, where the policy begins later."""
        base = float(optimizer.param_groups[0]["lr"])
        first, skipped, then = (self.rate(base, epoch) for epoch in (0, span.start, span.start + 1))
        if span.start > self.offset(span) and not (isclose(skipped, first) and isclose(first, base)):
            text = f"the rate is {first:g} through epoch {span.start} and {then:g} in epoch {span.start + 1}"
            why = f"{type(self).__name__} counts from the begin of the run, as in Distiller"
            yield Remark(f"{text}: {why}; relative: true counts from the policy's start", severity="notice")


class EpochRates(Rates):
    """A scheduler that goes by the epoch, at work on an optimizer.

    >>> from prunus.recipes.distiller.lr_schedulers import ExponentialLR
    >>> optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    >>> ExponentialLR(0.5).rates(optimizer).step(3, None)
    >>> optimizer.param_groups[0]["lr"]
    0.125
    """

    def __init__(self, scheduler: ByEpoch, optimizer: torch.optim.Optimizer) -> None:
        self.scheduler, self.optimizer = scheduler, optimizer
        self.bases: list[float] = []
        self._admit()

    def begin(self) -> None:
        """Set what differs from the base rates in epoch 0, so that schedulers with other epochs are left alone."""
        self._admit()
        for at, (group, base) in enumerate(zip(self.optimizer.param_groups, self.bases, strict=True)):
            if not isclose(first := self.scheduler.rate(base, 0, at), base):
                put(group, "lr", first)
            put_momentum(group, self.scheduler.momentum(0, at))

    def step(self, epoch: int, metrics: Mapping[str, float] | None) -> None:
        """Set the rates of an epoch."""
        self._admit()
        for at, (group, base) in enumerate(zip(self.optimizer.param_groups, self.bases, strict=True)):
            put(group, "lr", self._rate(base, epoch, at))
            put_momentum(group, self.scheduler.momentum(epoch, at))

    def _rate(self, base: float, epoch: int, at: int) -> float:
        rate = self.scheduler.rate(base, epoch, at)
        if not isfinite(rate):
            raise RunError(f"{type(self.scheduler).__name__} gives the learning rate {rate} in epoch {epoch}")
        return rate

    def _admit(self) -> None:
        """A group that was added meanwhile starts from what it holds."""
        fresh = self.optimizer.param_groups[len(self.bases) :]
        self.bases += [float(group["lr"]) for group in fresh]

    def state_dict(self) -> dict[str, Any]:
        """Return the base rates."""
        return {"bases": list(self.bases)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what :meth:`state_dict` returned."""
        self.bases = [float(base) for base in state["bases"]]


def power(gamma: float, times: int) -> float:
    """Return γ to a whole power, infinity where that is more than a float holds.

    >>> power(0.5, 3), power(1e308, 2)
    (0.125, inf)
    """
    try:
        return gamma**times
    except OverflowError:
        return inf
