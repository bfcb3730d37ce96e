"""Steer a Bregman optimizer: move its λ, or hold an exact budget."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from prunus.actions.base import Action, Bound, Moment, Site
from prunus.optim import BregmanOptimizer
from prunus.steering import Steering, require_steerable


@dataclass(frozen=True)
class Steer(Action):
    """Let a member of :mod:`prunus.steering` act after every optimizer step.

    Args:
        steering: member of :mod:`prunus.steering`; one object serves one run.

    It acts on the groups of the optimizer with ``lambda_scale > 0`` and a regularizer other than RegNone; an
    optimizer without such a group, or not of :mod:`prunus.optim`, raises SettingError.

    >>> import torch
    >>> from prunus.optim import AdaBreg
    >>> from prunus.regularizers import RegL1
    >>> from prunus.scheduler import CompressionScheduler
    >>> from prunus.steering import LambdaScheduler
    >>> model = torch.nn.Linear(4, 4, bias=False)
    >>> optimizer = AdaBreg(model.parameters(), lr=0.1, reg=RegL1())
    >>> steer = Steer(LambdaScheduler(initial_lambda=0.5, target_sparsity=0.5))
    >>> scheduler = CompressionScheduler(model, [steer], optimizer=optimizer, steps_per_epoch=1, epochs=1)
    >>> scheduler.epoch_begin()
    >>> optimizer.param_groups[0]["reg"].lamda
    0.5
    """

    moment: ClassVar[Moment] = Moment.AFTER
    unit: ClassVar[str] = "step"
    claims: ClassVar[str] = "λ of the optimizer"
    begins_with_window: ClassVar[bool] = True

    steering: Steering

    @property
    def needs_progress(self) -> bool:  # type: ignore[override]
        """Whether the steering depends on the length of the run."""
        return self.steering.needs_progress

    @property
    def ramps(self) -> bool:  # type: ignore[override]
        """A steering that follows progress misses its goal in a run that is too short."""
        return self.steering.needs_progress

    @property
    def every_step(self) -> bool:  # type: ignore[override]
        """Whether the steering has to act after every step."""
        return self.steering.every_step

    def bind(self, site: Site) -> Bound:
        """Check that the optimizer can be steered."""
        optimizer = require_steerable(site.optimizer)
        self.steering.prepare(optimizer, site.masks)
        return _Steering(self.steering, optimizer)


class _Steering(Bound):
    """The running side of Steer."""

    def __init__(self, steering: Steering, optimizer: BregmanOptimizer) -> None:
        self.optimizer = optimizer
        self.steering = steering
        super().__init__([member.parameter for member in optimizer.regularized()])

    def begin(self) -> None:
        """Set λ before the first step."""
        self.steering.begin(self.optimizer)

    def epoch_begin(self, epoch: int) -> None:
        """Tell the steering which epoch begins."""
        self.steering.epoch_begin(epoch)

    def fire(self, time: int, progress: float) -> None:
        """Act after optimizer step ``time``."""
        self.parameters = [member.parameter for member in self.optimizer.regularized()]  # groups may have been added
        self.steering.after_step(self.optimizer, time, progress)

    def finish(self) -> None:
        """Let the steering say whether its target was missed."""
        self.steering.finish(self.optimizer)

    def missed(self) -> str:
        """Return how far short of its goal the steering's schedule ended."""
        return self.steering.missed()

    def metrics(self) -> dict[str, float]:
        """Return the steering's figures, and λ itself."""
        strength = max(float(member.group["reg"].lamda) for member in self.optimizer.regularized())
        return {"lambda": strength, **self.steering.metrics()}

    def state_dict(self) -> dict[str, Any]:
        """Return the steering's state."""
        return self.steering.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what :meth:`state_dict` returned."""
        self.steering.load_state_dict(state)
