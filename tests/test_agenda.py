from __future__ import annotations

from unittest import mock

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from prunus._agenda import Agenda
from prunus.actions import Prune, Site
from prunus.masks import MaskStore
from prunus.policy import Policy, RunningPolicy
from prunus.scheduler import CompressionScheduler
from prunus.schedules import OneShot
from prunus.window import Window

spans = st.tuples(st.integers(0, 12), st.none() | st.integers(1, 12), st.integers(1, 5))


def running(start: int, length: int | None, frequency: int, total: int | None = 20) -> RunningPolicy:
    window = Window(start, None if length is None else start + length, frequency)
    policy = RunningPolicy(Policy(Prune(OneShot(0.5)), window), Site(nn.Linear(2, 2), None, MaskStore([])))
    policy.resolve({"epoch": total, "step": None})
    return policy


def twin(policies: list[RunningPolicy], time: int) -> list[RunningPolicy]:
    """Ask everyone, at every time."""
    fires = []
    for policy in policies:
        span = policy.span
        assert span is not None
        lasts = policy.window.end is None or time < policy.window.end
        if lasts and time >= span.start and (time - span.start) % span.frequency == 0:
            fires.append(policy)
    return fires


@given(st.lists(spans, max_size=5), st.lists(st.integers(0, 30), max_size=12))
def test_the_queue_finds_whom_asking_everyone_finds(spans, times):
    policies = [running(*span) for span in spans]
    agenda = Agenda(policies)
    for at in times:  # forward, back, twice, with gaps
        assert agenda.due(at) == twin(policies, at)


def test_idle_policies_are_not_asked_at_every_step():
    model = nn.Linear(4, 4)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    idle = [Policy(Prune(OneShot(0.5)), Window(90, 91, unit="step")) for _ in range(20)]
    scheduler = CompressionScheduler(model, idle, optimizer=optimizer, steps_per_epoch=100, epochs=1)
    with mock.patch.object(RunningPolicy, "next_firing", autospec=True, side_effect=RunningPolicy.next_firing) as asked:
        for _ in range(50):
            optimizer.step()
    assert asked.call_count == 20 and scheduler.step == 50
