"""A policy is an action and a window; at work it knows its span and how often it has fired."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from prunus._groups import diverged
from prunus.actions import Action, Bound, Site
from prunus.errors import CheckpointError, NoEffect, ScoreError, SettingError, SparsityDecreaseError
from prunus.window import Span, Window


@dataclass(frozen=True)
class Policy:
    """What to do and when: an action, and the window in which it fires.

    Args:
        action: member of :mod:`prunus.actions`.
        window: None means the whole run, in the action's own unit (pruning: every epoch; steering and learning
            rate: every step).

    >>> from prunus.actions import Prune
    >>> from prunus.schedules import Cubic
    >>> print(Policy(Prune(Cubic(0.9)), Window(0, 6)).name)
    Prune in epochs 0 to 6
    """

    action: Action
    window: Window | None = None

    def __post_init__(self) -> None:
        """Catch swapped arguments, which would otherwise fail in the middle of training."""
        if not isinstance(self.action, Action):
            raise SettingError(f"a policy's action is {self.action!r}, expected a member of prunus.actions")
        if self.window is not None and not isinstance(self.window, Window):
            raise SettingError(f"a policy's window is {self.window!r}, expected Window(start, end, frequency, unit)")
        if self.action.every_step and (self.when.unit, self.when.frequency) != ("step", 1):
            raise SettingError(
                f"{self.name}: it holds only if it acts after every step, so write unit='step', frequency=1"
            )

    @property
    def when(self) -> Window:
        """The window, or the default of the action."""
        return self.window or Window(unit=self.action.unit)

    @property
    def name(self) -> str:
        """The policy in words, for messages."""
        return f"{self.action.title} in {self.when}"


class RunningPolicy:
    """A policy bound to a model: fires at the right moments and counts its firings.

    >>> from torch import nn
    >>> from prunus.actions import Prune
    >>> from prunus.masks import MaskStore
    >>> from prunus.schedules import OneShot
    >>> policy = RunningPolicy(Policy(Prune(OneShot(0.5))), Site(nn.Linear(2, 2), None, MaskStore([])))
    >>> policy.resolve({"epoch": 3, "step": None})
    >>> policy.fire(0)
    >>> policy.fired
    1
    """

    def __init__(self, policy: Policy, site: Site) -> None:
        self.policy = policy
        self.bound: Bound = policy.action.bind(site)
        self.model = site.model
        self.window = policy.when
        self.span: Span | None = None
        self.fired = 0
        self.begun = False
        self._out_of_reach = self._cut = False  # what resolving has warned of already

    def resolve(self, totals: Mapping[str, int | None]) -> None:
        """Fix the span for a run of known length; warn NoEffect when the run ends before the goal of the window."""
        total = totals[self.window.unit]
        span = self.span = self.window.resolve(total)
        self._out_of_reach = total is not None and span.start >= total
        if self.policy.action.needs_progress:
            span.firings()  # raises now, not in the middle of a step, when the length of the run is unknown
        aims = self.policy.action.needs_progress and self.policy.action.ramps
        self._cut = aims and total is not None and span.start < total and not span.reaches_final(total)
        if self._cut:
            warnings.warn(
                f"{self.policy.name} does not reach its end: the run has only {total} {self.window.unit}s",
                NoEffect,
                stacklevel=2,
            )

    def next_firing(self, time: int) -> int | None:
        """Return when it acts next, ``time`` included (in its window's unit), or None when it does no more.

        A window without an end goes on when the run has more steps than announced: the last level holds.
        """
        assert self.span is not None
        return self.span.next_firing(time, endless=not self.window.at and self.window.end is None)

    def begin(self, epoch: int, step: int) -> None:
        """Let the action prepare, once, at the start or when its window opens; a resumed one has begun already."""
        time = epoch if self.window.unit == "epoch" else step
        opened = self.span is not None and self.span.start <= time
        if not self.begun and (opened or not self.policy.action.begins_with_window):
            self.begun = True
            self.bound.begin()

    def complete(self, step: int, total: int | None) -> None:
        """Act once more at full progress when the run took fewer steps than announced, so that the goal is met."""
        action, span = self.policy.action, self.span
        if self.window.unit != "step" or not (action.ramps and action.needs_progress) or span is None or total is None:
            return
        if span.firings() and span.start < step <= span.firings()[-1] < total:
            self._act(span.firings()[-1], 1.0)

    def fire(self, time: int) -> None:
        """Act at ``time``, an epoch or a step by the window's unit."""
        assert self.span is not None
        progress = self.span.progress(time) if self.policy.action.needs_progress else 0.0
        self.begin(time, time)
        self._act(time, progress)
        self.fired += 1

    def _act(self, time: int, progress: float) -> None:
        """Let the action act; where it cannot rank, name the parameter that is to blame."""
        try:
            self.bound.fire(time, progress)
        except ScoreError as fault:
            acted = set(map(id, self.bound.parameters))
            who = diverged({name: p for name, p in self.model.named_parameters() if id(p) in acted})
            if not who:
                raise
            raise ScoreError(f"{self.policy.action.title} did nothing, for {who}: {fault}") from fault

    def warn_if_short(self) -> None:
        """Warn NoEffect at the end of a run in which the policy never acted, or did not come to its goal."""
        if not self.fired:
            if not self._out_of_reach:
                warnings.warn(f"{self.policy.name} never acted in this run", NoEffect, stacklevel=2)
        elif (missed := self.bound.missed()) and not self._cut:
            warnings.warn(f"{self.policy.name} was left at {missed} when the run ended", NoEffect, stacklevel=2)

    def clashes(self, other: RunningPolicy) -> bool:
        """Whether both would move the same thing in the same stretch of the run."""
        mine, theirs = self.policy.action.claims, other.policy.action.claims
        return bool(mine) and mine == theirs and _overlap(self, other)

    def state_dict(self) -> dict[str, Any]:
        """Return the kind of action, the firings so far and the action's own state."""
        return {
            "action": self.policy.action.title,
            "fired": self.fired,
            "begun": self.begun,
            "state": self.bound.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what :meth:`state_dict` returned."""
        self.fired, self.begun = int(state["fired"]), bool(state["begun"])
        try:
            self.bound.load_state_dict(state["state"])
        except (CheckpointError, SparsityDecreaseError) as fault:
            raise type(fault)(f"{self.policy.name}: {fault}") from fault


def _overlap(one: RunningPolicy, other: RunningPolicy) -> bool:
    """Spans in unlike units are taken to overlap, since nobody can tell."""
    if one.span is None or other.span is None or one.window.unit != other.window.unit:
        return True
    ends = [span.end if span.end is not None else float("inf") for span in (one.span, other.span)]
    return one.span.start < ends[1] and other.span.start < ends[0]
