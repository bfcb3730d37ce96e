"""A policy is an action and a window, checked when it is made."""

from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from prunus.actions import Action, Bound, Moment, Prune, SetLR, Site
from prunus.errors import SettingError
from prunus.masks import MaskStore
from prunus.policy import Policy, RunningPolicy
from prunus.schedules import Cubic, Linear, OneShot
from prunus.window import Window


def test_swapped_or_bare_arguments_are_refused_at_once():
    with pytest.raises(SettingError, match="expected a member of prunus.actions"):
        Policy(Window(0, 3), Prune(Cubic(0.5)))
    with pytest.raises(SettingError, match="expected a member of prunus.actions"):
        Policy(Cubic(0.5))
    with pytest.raises(SettingError, match="expected Window"):
        Policy(Prune(Cubic(0.5)), (0, 5))


def test_without_a_window_an_action_has_the_run_in_its_own_unit():
    assert Policy(Prune(Cubic(0.5))).when == Window(unit="epoch")
    assert Policy(SetLR(Linear(0.5))).when == Window(unit="step")


def test_policies_are_values():
    one, other = (Policy(Prune(Cubic(0.5)), Window(0, 3)) for _ in range(2))
    assert one == other and hash(one) == hash(other)


def test_a_falling_schedule_cannot_prune():
    with pytest.raises(SettingError, match="masks only tighten"):
        Prune(Linear(initial=0.9, final=0.5))
    with pytest.raises(SettingError, match="seed"):
        Prune(OneShot(0.5), seed=-1)


def test_a_learning_rate_needs_an_optimizer():
    from prunus.scheduler import CompressionScheduler

    with pytest.raises(SettingError, match="pass optimizer="):
        CompressionScheduler(torch.nn.Linear(2, 2), [SetLR(Linear(0.5))])


class Noted(Bound):
    def __init__(self):
        super().__init__([])
        self.acts = []

    def fire(self, time, progress):
        self.acts.append((time, progress))


@dataclass(frozen=True)
class Note(Action):
    """Moves nothing, and claims to move what only one may."""

    moment: ClassVar[Moment] = Moment.AFTER
    claims: ClassVar[str] = "the notes"

    def bind(self, site):
        return Noted()


RUN = 12
PLACES = st.integers(0, RUN + 3)
WINDOWS = st.builds(
    lambda start, length, frequency: Window(start, start + length, frequency, "step"),
    PLACES,
    st.integers(1, RUN),
    st.integers(1, 4),
)


def running(window):
    policy = RunningPolicy(Policy(Note(), window), Site(torch.nn.Linear(1, 1), None, MaskStore([])))
    policy.span = window.resolve(None)
    return policy


@given(WINDOWS, WINDOWS)
def test_policies_clash_where_their_windows_share_a_step(one, other):
    shared = set(range(one.start, one.end)) & set(range(other.start, other.end))
    assert running(one).clashes(running(other)) == bool(shared)


def test_policies_that_nobody_can_compare_clash():
    early, late, epochs = Window(0, 3, unit="step"), Window(5, unit="step"), Window(5, 6)
    assert not running(early).clashes(running(late)) and running(late).clashes(running(Window(90, 91, unit="step")))
    assert running(early).clashes(running(epochs)) and running(epochs).clashes(running(early))
    unresolved = running(late)
    unresolved.span = None
    assert unresolved.clashes(running(early)) and running(early).clashes(unresolved)


@given(WINDOWS, PLACES)
def test_a_ramp_that_was_cut_short_by_missing_steps_is_completed_once(window, steps):
    """It is, where it had begun, the announced run would have come to its end, and this run did not."""
    policy = running(window)
    policy.complete(steps, RUN)
    last = max(range(window.start, window.end, window.frequency))
    begun, announced, came = window.start < steps, last < RUN, last < steps
    assert policy.bound.acts == ([(last, 1.0)] if begun and announced and not came else [])
