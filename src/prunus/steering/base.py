"""What moves a regularizer's strength, or what it leaves alive, while a Bregman optimizer trains."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Protocol, cast

import torch
from torch import Tensor

from prunus.errors import SettingError
from prunus.regularizers import Regularizer


class Steered(Protocol):
    """One regularized parameter of a Bregman optimizer, with its state (the dual) and its parameter group."""

    @property
    def parameter(self) -> Tensor:
        """The weight."""
        ...

    @property
    def state(self) -> dict[str, Any]:
        """The optimizer's state of the weight; empty before its first step."""
        ...

    @property
    def group(self) -> dict[str, Any]:
        """The parameter group, with ``reg``, ``delta`` and ``lambda_scale``."""
        ...


class SteeredOptimizer(Protocol):
    """What steering needs of an optimizer; every optimizer of :mod:`prunus.optim` offers it."""

    def regularized(self) -> Iterator[Steered]:
        """Yield the parameters whose regularizer is to be steered."""
        ...


class Steering(ABC):
    """Base of the family: told when training starts and after every optimizer step."""

    needs_progress: ClassVar[bool] = False
    """Whether ``after_step`` needs to know how long the run is."""

    def begin(self, optimizer: SteeredOptimizer) -> None:
        """Prepare the optimizer before its first step; does nothing unless overridden."""

    @abstractmethod
    def after_step(self, optimizer: SteeredOptimizer, step: int, progress: float) -> None:
        """Act after optimizer step number ``step`` (from 0), ``progress`` of the run being done."""

    def metrics(self) -> dict[str, float]:
        """Return figures for a log, by name."""
        return {}

    def state_dict(self) -> dict[str, Any]:
        """Return what must be saved to resume exactly: plain numbers and tensors."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what :meth:`state_dict` returned."""


def require_steerable(optimizer: torch.optim.Optimizer | None) -> SteeredOptimizer:
    """Return the optimizer if it is a Bregman optimizer with something to steer, else raise SettingError.

    >>> require_steerable(None)
    Traceback (most recent call last):
        ...
    prunus.errors.SettingError: steering acts on an optimizer of prunus.optim, got None
    """
    regularized = getattr(optimizer, "regularized", None)
    if regularized is None:
        got = type(optimizer).__name__ if optimizer is not None else None
        raise SettingError(f"steering acts on an optimizer of prunus.optim, got {got}")
    if not any(True for _ in regularized()):
        raise SettingError("steering has nothing to act on: no group has a regularizer with lambda_scale > 0")
    return cast(SteeredOptimizer, optimizer)


def set_lambda(optimizer: SteeredOptimizer, strength: float) -> None:
    """Set λ of every steered group to ``strength`` times its ``lambda_scale``; the dual is left alone.

    >>> from prunus.optim import LinBreg
    >>> from prunus.regularizers import RegL1
    >>> optimizer = LinBreg([{"params": [torch.ones(2, requires_grad=True)], "reg": RegL1(), "lambda_scale": 2.0}])
    >>> set_lambda(optimizer, 0.5)
    >>> optimizer.param_groups[0]["reg"].lamda
    1.0
    """
    for member in optimizer.regularized():
        regularizer_of(member).lamda = strength * member.group["lambda_scale"]


def regularizer_of(member: Steered) -> Regularizer:
    """Return the live regularizer of a member's group.

    >>> from prunus.optim import LinBreg
    >>> from prunus.regularizers import RegL1
    >>> optimizer = LinBreg([torch.ones(2, requires_grad=True)], reg=RegL1(0.5))
    >>> regularizer_of(next(optimizer.regularized())).lamda
    0.5
    """
    return cast(Regularizer, member.group["reg"])
