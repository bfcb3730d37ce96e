"""What an action is told, and when: the same in any window, behind Adaptive as bare, and after a resume."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from prunus.actions import Action, Adaptive, Bound, Moment, Site
from prunus.policy import Policy
from prunus.scheduler import CompressionScheduler
from prunus.window import Window

EPOCHS, STEPS = 3, 2
Heard = list[tuple[Any, ...]]


class Listener(Bound):
    def __init__(self, heard: Heard) -> None:
        super().__init__([])
        self.heard = heard

    def begin(self) -> None:
        self.heard.append(("begin",))

    def epoch_begin(self, epoch: int) -> None:
        self.heard.append(("epoch_begin", epoch))

    def epoch_end(self, metrics: Any) -> None:
        self.heard.append(("epoch_end", dict(metrics)))

    def fire(self, time: int, progress: float) -> None:
        self.heard.append(("fire", time))

    def finish(self) -> None:
        self.heard.append(("finish",))


@dataclass(frozen=True)
class Listen(Action):
    moment: ClassVar[Moment] = Moment.BEFORE
    heard: Heard = field(default_factory=list, compare=False)

    def bind(self, site: Site) -> Bound:
        return Listener(self.heard)


@dataclass(frozen=True)
class ListenLate(Listen):
    begins_with_window: ClassVar[bool] = True


def started(*policies: Any) -> CompressionScheduler:
    model = nn.Linear(2, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    return CompressionScheduler(model, policies, optimizer=optimizer, steps_per_epoch=STEPS, epochs=EPOCHS)


def run(*policies: Any) -> None:
    scheduler = started(*policies)
    for epoch in scheduler.epochs(EPOCHS):
        for _ in range(STEPS):
            scheduler.optimizer.step()
        scheduler.epoch_end({"accuracy": 0.5 + epoch})


def told(window: Window, late: bool) -> Heard:
    """The twin: the story of a run, and then where the begin belongs in it."""
    fires = range(window.start, window.end, window.frequency)
    story: Heard = []
    for epoch in range(EPOCHS):
        story.append(("epoch_begin", epoch))
        times = [epoch] if window.unit == "epoch" else range(epoch * STEPS, (epoch + 1) * STEPS)
        story += [("fire", time) for time in times if time in fires]
        story.append(("epoch_end", {"accuracy": 0.5 + epoch}))
    place = story.index(("fire", fires[0])) if late and window.start else 0
    return [*story[:place], ("begin",), *story[place:], ("finish",)]


@st.composite
def windows(draw: st.DrawFn) -> Window:
    unit = draw(st.sampled_from(["epoch", "step"]))
    total = EPOCHS if unit == "epoch" else EPOCHS * STEPS
    start = draw(st.integers(0, total - 1))
    return Window(start, draw(st.integers(start + 1, total)), draw(st.integers(1, 2)), unit)


@given(windows(), st.sampled_from([Listen, ListenLate]))
def test_an_action_is_told_all_in_order(window: Window, kind: type[Listen]) -> None:
    action = kind()
    run(Policy(action, window))
    assert action.heard == told(window, late=kind is ListenLate)


@pytest.mark.filterwarnings("ignore:Adaptive.*of the way")
@given(windows())
def test_behind_adaptive_it_is_told_the_same(window: Window) -> None:
    bare, inner = Listen(), Listen()
    run(Policy(bare, window), Policy(Adaptive(inner, "accuracy", 0.1, step=1.0, reference=0.0), window))
    assert inner.heard == bare.heard


def test_a_state_from_before_the_begin_lets_it_begin_again() -> None:
    action = Listen()
    scheduler = started(action)
    state = scheduler.state_dict()
    scheduler.epoch_begin()
    assert action.heard == [("begin",), ("epoch_begin", 0), ("fire", 0)]
    scheduler.load_state_dict(scheduler.state_dict())
    assert action.heard.count(("begin",)) == 1
    scheduler.load_state_dict(state)
    assert action.heard.count(("begin",)) == 2


def test_a_step_that_is_announced_begins_the_epoch() -> None:
    action = Listen()
    scheduler = started(action)
    for _ in range(2):
        scheduler.step_begin()
    assert action.heard == [("begin",), ("epoch_begin", 0), ("fire", 0)]


def test_steps_without_a_number_of_epochs_are_an_open_run() -> None:
    model, action = nn.Linear(2, 2), Listen()
    scheduler = CompressionScheduler(model, [Policy(action, Window(1, 3, unit="step"))], steps_per_epoch=STEPS)
    for _ in range(4):
        scheduler.gradients_ready()
        scheduler.step_end()
    assert [said for said in action.heard if said[0] == "fire"] == [("fire", 1), ("fire", 2)]
