"""The engine resolves windows, and refuses what it would refuse in training, on policies that do nothing."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from prunus.actions import Bound, Site
from prunus.actions._wrapping import Wrapping
from prunus.errors import NoEffect, RunError
from prunus.policy import Policy
from prunus.scheduler import CompressionScheduler
from prunus.window import Span


@dataclass(frozen=True, eq=False)
class Understudy(Wrapping):
    """Stands in for an action: due whenever that is, it needs no model and does nothing.

    >>> from prunus.actions import Prune
    >>> from prunus.schedules import Cubic
    >>> Understudy(Prune(Cubic(0.9))).needs_progress
    True
    """

    @property
    def title(self) -> str:
        """Its name in messages."""
        return self.action.title

    @property
    def needs_progress(self) -> bool:  # type: ignore[override]
        """Whether it follows its window."""
        return self.action.needs_progress

    def bind(self, site: Site) -> Bound:
        """Need nothing and do nothing."""
        return Bound([])


def spans(policies: Sequence[Policy], epochs: int, steps_per_epoch: int | None) -> list[Span]:
    """Return the spans that the engine gives to policies in a run of this length.

    Raises:
        RunError: policies count steps, and how many an epoch has is unknown. SettingError: two policies move one thing.

    >>> from prunus.actions import Prune
    >>> from prunus.schedules import Cubic
    >>> from prunus.window import Window
    >>> spans([Policy(Prune(Cubic(0.9)), Window("0.2dur", "0.8dur"))], 50, None)
    [Span(start=10, end=40, frequency=1)]
    """
    counting = [policy.name for policy in policies if policy.when.unit == "step"]
    if counting and steps_per_epoch is None:
        raise RunError(f"steps_per_epoch is missing, and steps are counted by: {'; '.join(counting)}")
    doubles = [Policy(Understudy(policy.action), policy.when) for policy in policies]
    engine = CompressionScheduler(nn.Linear(1, 1), doubles, epochs=epochs, steps_per_epoch=steps_per_epoch)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoEffect)  # a timeline says it in its own words
        engine.epoch_begin()
    return [policy.span for policy in engine.policies if policy.span is not None]
