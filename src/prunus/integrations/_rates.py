"""Whether a recipe moves the learning rate, which nothing else may move then."""

from __future__ import annotations

from collections.abc import Iterable

from prunus.errors import RunError
from prunus.scheduler import CompressionScheduler

CLAIM = "the learning rate"


def moved_by(scheduler: CompressionScheduler) -> bool:
    """Say whether a policy moves the learning rate.

    >>> from torch import nn
    >>> moved_by(CompressionScheduler(nn.Linear(1, 1), []))
    False
    """
    return any(policy.policy.action.claims == CLAIM for policy in scheduler.policies)


def refuse_others(scheduler: CompressionScheduler, others: Iterable[object]) -> None:
    """Raise RunError where a policy moves the learning rate and one of ``others`` does too.

    >>> from torch import nn
    >>> refuse_others(CompressionScheduler(nn.Linear(1, 1), []), ["StepLR"])
    """
    names = sorted({type(other).__name__ for other in others})
    if names and moved_by(scheduler):
        raise RunError(f"the recipe and {', '.join(names)} both move the learning rate: leave one of them out")
