"""What every action shares: settings that bind to a model and an optimizer, and then act when their window fires."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from prunus._groups import require_fit
from prunus.masks import MaskStore
from prunus.select import Select, Target, Walk, require_in_optimizer, targets
from prunus.structures import Structure


class Moment(Enum):
    """When, within an epoch or an optimizer step, an action is due.

    >>> [moment.value for moment in Moment]
    ['before', 'after', 'during']
    """

    BEFORE = "before"
    """At the begin of the epoch, or between the gradients and the optimizer's update."""
    AFTER = "after"
    """At the end of the epoch, or right after the optimizer's update."""
    DURING = "during"
    """While the loss is computed."""


@dataclass(frozen=True)
class Site:
    """What an action is bound to: the model, its optimizer (or None), and the one mask store.

    >>> Site(nn.Linear(2, 2), None, MaskStore([])).optimizer is None
    True
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer | None
    masks: MaskStore

    @cached_property
    def walk(self) -> Walk:
        """The parameters of the model, walked once for all actions that are bound here."""
        return Walk(self.model)

    def masked(self, select: Select, structure: Structure) -> list[Target]:
        """Choose what an action will mask: it fits the structure, the optimizer steps it, the store may mask it."""
        chosen = targets(self.walk, select)
        for target in chosen:
            require_fit(target, structure)
        if self.optimizer is not None:
            require_in_optimizer(chosen, self.optimizer)
        self.masks.include(chosen)
        return chosen

    def trains(self, parameter: Tensor) -> bool:
        """Whether the optimizer steps a parameter; where none is known, any may be stepped."""
        groups = None if self.optimizer is None else self.optimizer.param_groups
        return groups is None or any(p is parameter for group in groups for p in group["params"])


class Bound:
    """An action at work: its running state, apart from its settings.

    >>> Bound([]).penalty() is None, Bound([]).metrics()
    (True, {})
    """

    def __init__(self, parameters: list[Tensor]) -> None:
        self.parameters = parameters

    def begin(self) -> None:
        """Prepare, once before training and once after each resume; must not undo what was resumed."""

    def epoch_begin(self, epoch: int) -> None:
        """Take note that epoch ``epoch`` (from 0) begins."""

    def epoch_end(self, metrics: Mapping[str, float]) -> None:
        """Take note that an epoch ends, and of the figures that the loop was told of it, such as an accuracy."""

    def fire(self, time: int, progress: float) -> None:
        """Act at epoch or step ``time`` (from 0), ``progress`` of the window being over."""

    def penalty(self) -> Tensor | None:
        """Return a term to add to the loss, or None."""
        return None

    def finish(self) -> None:
        """Take note that the run is over, and warn where the goal was missed."""

    def missed(self) -> str:
        """Return how far short of its goal the last firing fell, as in "sparsity 0.5 of 0.9"; empty at the goal."""
        return ""

    def metrics(self) -> dict[str, float]:
        """Return figures for a log, by name."""
        return {}

    def state_dict(self) -> dict[str, Any]:
        """Return what must be saved to resume exactly: plain numbers and tensors."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what :meth:`state_dict` returned."""


class Action(ABC):
    """Base of the family: frozen settings that say what to do; the window of a policy says when.

    A member is a frozen dataclass that says its moment and binds:

    >>> @dataclass(frozen=True)
    ... class Rest(Action):
    ...     moment: ClassVar[Moment] = Moment.AFTER
    ...
    ...     def bind(self, site: Site) -> Bound:
    ...         return Bound([])
    >>> Rest().bind(Site(nn.Linear(2, 2), None, MaskStore([]))).parameters
    []
    """

    moment: ClassVar[Moment]
    """When the action is due inside its epoch or step; ``moments`` where that is at more than one place."""
    unit: ClassVar[str] = "epoch"
    """The unit of the window that a policy without a window gets."""
    ramps: ClassVar[bool] = True
    """Whether the action aims at the end of its window, so that a run that stops before misses its goal."""
    claims: ClassVar[str] = ""
    """What only one policy at a time may move, such as the learning rate; empty when sharing is fine."""
    begins_with_window: ClassVar[bool] = False
    """Whether the action prepares when its window opens, instead of when training starts."""
    every_step: bool = False
    """Whether the action keeps its promise only when it acts after every optimizer step."""
    needs_progress: bool = True
    """Whether the action asks how much of its window is over."""

    @property
    def title(self) -> str:
        """What messages call it."""
        return type(self).__name__

    @property
    def moments(self) -> tuple[Moment, ...]:
        """Every moment at which the action is due: at ``DURING`` its penalty is asked for, at the others it fires."""
        return (self.moment,)

    @abstractmethod
    def bind(self, site: Site) -> Bound:
        """Check everything against the model and the optimizer, changing neither, and return the action at work."""
