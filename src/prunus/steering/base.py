"""What moves a regularizer's strength, or what it leaves alive, while a Bregman optimizer trains."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import torch

from prunus.errors import SettingError
from prunus.masks import MaskStore
from prunus.optim import BregmanOptimizer


class Steering(ABC):
    """Base of the family: told when training starts and after every optimizer step.

    A member writes ``after_step``; one that halves λ at step 100 is three lines:

    >>> class Halve(Steering):
    ...     def after_step(self, optimizer: BregmanOptimizer, step: int, progress: float) -> None:
    ...         if step == 100:
    ...             optimizer.param_groups[0]["reg"].lamda /= 2
    >>> Halve().metrics(), Halve().state_dict()
    ({}, {})
    """

    needs_progress: ClassVar[bool] = False
    """Whether ``after_step`` needs to know how long the run is."""

    every_step: ClassVar[bool] = False
    """Whether ``after_step`` has to be called after every step, so that no other window will do."""

    def prepare(self, optimizer: BregmanOptimizer, masks: MaskStore) -> None:
        """Check the optimizer, changing nothing, when the run is set up; does nothing unless overridden."""

    def begin(self, optimizer: BregmanOptimizer) -> None:
        """Prepare the optimizer before its first step; does nothing unless overridden."""

    def epoch_begin(self, epoch: int) -> None:
        """Take note that epoch ``epoch`` (from 0) begins; does nothing unless overridden."""

    @abstractmethod
    def after_step(self, optimizer: BregmanOptimizer, step: int, progress: float) -> None:
        """Act after optimizer step number ``step`` (from 0), ``progress`` of the run being done."""

    def finish(self, optimizer: BregmanOptimizer) -> None:
        """Say, when the run is over, what was asked and missed; does nothing unless overridden."""

    def missed(self) -> str:
        """Return how far short of its target the schedule was left, as in "sparsity 0.5 of 0.9"; empty there."""
        return ""

    def metrics(self) -> dict[str, float]:
        """Return figures for a log, by name."""
        return {}

    def state_dict(self) -> dict[str, Any]:
        """Return what must be saved to resume exactly: plain numbers and tensors."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what :meth:`state_dict` returned."""


def require_steerable(optimizer: torch.optim.Optimizer | None) -> BregmanOptimizer:
    """Return the optimizer if it is one of :mod:`prunus.optim` with something to steer, else raise SettingError.

    >>> require_steerable(None)
    Traceback (most recent call last):
        ...
    prunus.errors.SettingError: steering acts on an optimizer of prunus.optim, got None
    """
    if not isinstance(optimizer, BregmanOptimizer):
        got = None if optimizer is None else type(optimizer).__name__
        raise SettingError(f"steering acts on an optimizer of prunus.optim, got {got}")
    if not any(True for _ in optimizer.regularized()):
        raise SettingError("steering has nothing to act on: no group has a regularizer with lambda_scale > 0")
    return optimizer


def require_dual(optimizer: BregmanOptimizer, what: str) -> None:
    """Raise SettingError unless the optimizer keeps duals and no steered regularizer draws its zeros at random.

    >>> from prunus.optim import ProxSGD
    >>> require_dual(ProxSGD([torch.ones(1, requires_grad=True)]), "a sparsity budget")
    Traceback (most recent call last):
        ...
    prunus.errors.SettingError: a sparsity budget acts on the dual, which ProxSGD does not keep
    """
    if not optimizer.has_dual:
        raise SettingError(f"{what} acts on the dual, which {type(optimizer).__name__} does not keep")
    for member in optimizer.regularized():
        if member.group["reg"].random:
            raise SettingError(f"{what} cannot hold {member.group['reg']!r}: its prox is random")


def set_lambda(optimizer: BregmanOptimizer, strength: float) -> None:
    """Set λ of every steered group to ``strength`` times its ``lambda_scale``; the dual is left alone.

    >>> from prunus.optim import LinBreg
    >>> from prunus.regularizers import RegL1
    >>> optimizer = LinBreg([{"params": [torch.ones(2, requires_grad=True)], "reg": RegL1(), "lambda_scale": 2.0}])
    >>> set_lambda(optimizer, 0.5)
    >>> optimizer.param_groups[0]["reg"].lamda
    1.0
    """
    for member in optimizer.regularized():
        member.group["reg"].lamda = strength * member.group["lambda_scale"]


def raise_lambda(optimizer: BregmanOptimizer, rate: float) -> None:
    """Add ``rate`` learning rates times ``lambda_scale`` to λ of every steered group; the dual is left alone.

    >>> from prunus.optim import LinBreg
    >>> from prunus.regularizers import RegL1
    >>> optimizer = LinBreg([torch.ones(2, requires_grad=True)], lr=0.5, reg=RegL1(1.0))
    >>> raise_lambda(optimizer, 0.5)
    >>> optimizer.param_groups[0]["reg"].lamda
    1.25
    """
    groups = {id(member.group): member.group for member in optimizer.regularized()}
    for group in groups.values():
        group["reg"].lamda += rate * float(group["lr"]) * group["lambda_scale"]
