"""A learning-rate policy at work: sets the rates of the next epoch when a firing epoch is over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from prunus.actions import Action, Bound, Moment, Site
from prunus.errors import SettingError
from prunus.recipes.distiller.bound import PolicyBound
from prunus.recipes.distiller.contract import LRScheduler, Rates
from prunus.window import Span


@dataclass(frozen=True, eq=False)
class RateByEpoch(Action):
    """Set the learning rate of epoch e + 1 at the end of each firing epoch e; most count from the begin of the run.

    Args:
        scheduler: what the rates are.
        span: the policy's window.

    >>> RateByEpoch.claims
    'the learning rate'
    """

    moment: ClassVar[Moment] = Moment.AFTER
    claims: ClassVar[str] = "the learning rate"
    ramps: ClassVar[bool] = False
    needs_progress = False

    scheduler: LRScheduler
    span: Span

    @property
    def title(self) -> str:
        """The class in the file."""
        return type(self.scheduler).__name__

    def bind(self, site: Site) -> Bound:
        """Check that there is an optimizer and take the base rates off its groups."""
        if site.optimizer is None:
            raise SettingError(f"{type(self.scheduler).__name__} needs an optimizer: pass optimizer= to load")
        return RatingBound(self, site.optimizer)


class RatingBound(PolicyBound):
    """The running side of a learning-rate policy.

    >>> issubclass(RatingBound, PolicyBound)
    True
    """

    def __init__(self, action: RateByEpoch, optimizer: torch.optim.Optimizer) -> None:
        super().__init__([])
        self.rates: Rates = action.scheduler.rates(optimizer)
        self.offset = action.scheduler.offset(action.span)

    def begin(self) -> None:
        """Set the first rates where the run begins."""
        if not self.offset:
            self.rates.begin()

    def epoch_begin(self, epoch: int) -> None:
        """Set the first rates where it counts from a later epoch."""
        if epoch == self.offset > 0:
            self.rates.begin()

    def epoch_over(self, epoch: int, metrics: Mapping[str, float] | None) -> None:
        """Set the rates of the next epoch."""
        self.rates.step(epoch + 1 - self.offset, metrics)

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the rates."""
        return self.rates.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what :meth:`state_dict` returned."""
        self.rates.load_state_dict(state)
