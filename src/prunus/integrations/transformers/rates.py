"""Whose the learning rate is: Trainer always has a schedule of its own, a recipe may have one too."""

from __future__ import annotations

import warnings
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import ReduceLROnPlateau
from transformers import TrainingArguments

from prunus.errors import NoEffect, RunError


def say_whose(args: TrainingArguments, theirs: Any) -> None:
    """Warn NoEffect that the recipe alone moves the rates, unless theirs is constant; refuse one that reads metrics.

    >>> from types import SimpleNamespace
    >>> say_whose(SimpleNamespace(lr_scheduler_type="constant"), None)
    """
    if isinstance(theirs, ReduceLROnPlateau):
        raise RunError("the recipe and ReduceLROnPlateau both move the learning rate: leave one of them out")
    if args.lr_scheduler_type != "constant":
        kind = str(getattr(args.lr_scheduler_type, "value", args.lr_scheduler_type))
        text = f"lr_scheduler_type={kind!r} has no effect: the recipe moves the learning rate; say 'constant'"
        warnings.warn(text, NoEffect, stacklevel=2)


def read(optimizer: Optimizer) -> list[float]:
    """Return the learning rate of every group.

    >>> import torch
    >>> read(torch.optim.SGD([torch.ones(1)], lr=0.5))
    [0.5]
    """
    return [group["lr"] for group in optimizer.param_groups]


def bases(optimizer: Optimizer) -> list[float]:
    """Return the learning rates that the groups were made with, before any schedule touched them.

    >>> import torch
    >>> optimizer = torch.optim.SGD([torch.ones(1)], lr=0.5)
    >>> _ = torch.optim.lr_scheduler.LinearLR(optimizer, start_factor=0.1)
    >>> bases(optimizer)
    [0.5]
    """
    return [group.get("initial_lr", group["lr"]) for group in optimizer.param_groups]


def set_(optimizer: Optimizer, rates: list[float]) -> None:
    """Set the learning rate of every group; a group that was added meanwhile keeps its own.

    >>> import torch
    >>> optimizer = torch.optim.SGD([torch.ones(1)], lr=0.5)
    >>> set_(optimizer, [0.25])
    >>> read(optimizer)
    [0.25]
    """
    for group, rate in zip(optimizer.param_groups, rates, strict=False):
        group["lr"] = rate
