"""Set the learning rate as a share of the one the optimizer was made with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from prunus.actions.base import Action, Bound, Moment, Site
from prunus.errors import SettingError
from prunus.schedules import Schedule


@dataclass(frozen=True)
class SetLR(Action):
    """Set every group's learning rate to its base learning rate times ``schedule(progress)``.

    The base is what the group holds when training starts. Outside the window the last value stays. Two SetLR
    policies may not overlap. Use a scheduler of ``torch.optim.lr_scheduler`` instead where its shape is wanted; this
    one exists so that a recipe can say everything in one place.

    Args:
        schedule: factor in [0, 1] as a function of progress, for instance ``Linear(initial=1.0, final=0.0)``.

    >>> from prunus.schedules import Linear
    >>> from prunus.scheduler import CompressionScheduler
    >>> model = torch.nn.Linear(2, 1)
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.4)
    >>> decay = SetLR(Linear(initial=1.0, final=0.5))
    >>> scheduler = CompressionScheduler(model, [decay], optimizer=optimizer, steps_per_epoch=3, epochs=1)
    >>> for _ in range(3):
    ...     optimizer.step()
    ...     print(round(optimizer.param_groups[0]["lr"], 3))
    0.4
    0.3
    0.2
    """

    moment: ClassVar[Moment] = Moment.BEFORE
    unit: ClassVar[str] = "step"
    claims: ClassVar[str] = "the learning rate"

    schedule: Schedule

    def bind(self, site: Site) -> Bound:
        """Check that there is an optimizer."""
        if site.optimizer is None:
            raise SettingError("SetLR needs an optimizer: pass optimizer= to the scheduler")
        return _LearningRate(self.schedule, site.optimizer)


class _LearningRate(Bound):
    """The running side of SetLR: the base learning rate of each group."""

    def __init__(self, schedule: Schedule, optimizer: torch.optim.Optimizer) -> None:
        super().__init__([])
        self.schedule = schedule
        self.optimizer = optimizer
        self.bases: list[float] = []

    def begin(self) -> None:
        """Remember the learning rate of every group that is new since the last call."""
        fresh = self.optimizer.param_groups[len(self.bases) :]
        self.bases += [float(group["lr"]) for group in fresh]

    def fire(self, time: int, progress: float) -> None:
        """Set the learning rate; a group added meanwhile starts from what it holds."""
        self.begin()
        factor = self.schedule(progress)
        for group, base in zip(self.optimizer.param_groups, self.bases, strict=True):
            group["lr"] = base * factor

    def state_dict(self) -> dict[str, Any]:
        """Return the base learning rates."""
        return {"bases": list(self.bases)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what :meth:`state_dict` returned."""
        self.bases = [float(base) for base in state["bases"]]
