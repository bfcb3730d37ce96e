"""A timeline says what training does: events, sparsities and learning rates, one by one."""

from __future__ import annotations

from bisect import bisect_right

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prunus.actions import Adaptive, Prune, Regularize, Rewire, SetLR, Steer
from prunus.criteria import Random
from prunus.errors import RunError, SettingError
from prunus.policy import Policy
from prunus.recipes import timeline
from prunus.recipes.timeline import Timeline
from prunus.regularizers import RegL1
from prunus.schedules import Cosine, Cubic, Exponential, Levels, Linear, OneShot, Schedule
from prunus.scopes import Global, PerLayer
from prunus.select import Select
from prunus.steering import AdditiveLambda, LambdaScheduler, QuantileLambda, SparsityBudget
from prunus.structures import NM
from prunus.window import Window
from tests.recipes.timeline.rehearsal import network, rehearsed

EPOCHS, STEPS = 4, 3
RISING = [Cubic(0.9, 0.2), Linear(0.8), OneShot(0.5), Levels((0.1, 0.5, 0.9)), Exponential(0.9, 0.1)]
FALLING = [Linear(0.0, 1.0), Cosine(final=0.1, initial=1.0), OneShot(0.5)]
LAYERS = ("0.weight", "2.weight", "4.weight")


@st.composite
def windows(draw: st.DrawFn) -> Window:
    unit = draw(st.sampled_from(["epoch", "step"]))
    total = EPOCHS if unit == "epoch" else EPOCHS * STEPS
    kind = draw(st.integers(0, 2))
    if kind == 0:
        return Window(at=tuple(sorted(draw(st.sets(st.integers(0, total + 2), min_size=1, max_size=4)))), unit=unit)
    frequency = draw(st.integers(1, 5))
    if kind == 1:
        start, end = sorted(draw(st.lists(st.sampled_from([0, 25, 50, 75, 100]), min_size=2, max_size=2, unique=True)))
        return Window(f"{start / 100}dur", f"{end / 100}dur", frequency, unit)
    start = draw(st.integers(0, total + 1))
    end = draw(st.none() | st.integers(start + 1, total + 4))
    return Window(start, end, frequency, unit)


def rise() -> st.SearchStrategy[Schedule]:
    return st.sampled_from(RISING)


PRUNES = st.builds(
    lambda layer, schedule, scope, window: Policy(Prune(schedule, scope=scope, select=Select((layer,))), window),
    st.sampled_from(LAYERS),
    rise(),
    st.sampled_from([Global(), PerLayer()]),
    windows(),
)
RATES = st.builds(lambda schedule, window: Policy(SetLR(schedule), window), st.sampled_from(FALLING), windows())
PENALTIES = st.builds(lambda window: Policy(Regularize(RegL1(0.01)), window), windows())
MOVES = st.builds(lambda window: Policy(Rewire(grow=Random()), window), windows())
HELD = st.builds(lambda window: Policy(Adaptive(Prune(Linear(0.9)), "accuracy", 0.01), window), windows())
SOME = st.lists(PRUNES | PENALTIES | HELD, min_size=1, max_size=5)


def rate_in_force(planned: Timeline, step: int) -> float:
    """The rate of a step by the timeline."""
    places, values = zip(*planned.rates, strict=True)
    return values[bisect_right(places, step / STEPS) - 1]


@settings(max_examples=30, deadline=None)
@given(SOME, RATES)
def test_events_sparsities_and_rates_are_those_of_training(policies: list[Policy], rate: Policy) -> None:
    try:
        planned = timeline.plan([*policies, rate], epochs=EPOCHS, steps_per_epoch=STEPS, lr=0.1)
    except SettingError as fault:
        with pytest.raises(SettingError, match="start must come before end"):
            rehearsed([*policies, rate], EPOCHS, STEPS)
        assert "start must come before end" in str(fault)
        return
    notes = rehearsed([*policies, rate], EPOCHS, STEPS)
    for place, lane in enumerate(planned.lanes):
        assert list(lane.events) == notes.fired[place], lane
        asked = [tuple(curve.values) for curve in lane.curves if curve.quantity == "sparsity"]
        assert asked == ([tuple(notes.asked[place])] if lane.acts and lane.title == "Prune" else asked)
        assert lane.acts == bool(notes.fired[place]) and lane.warning.startswith("never acts") != lane.acts
    assert [rate_in_force(planned, step) for step in range(EPOCHS * STEPS)] == notes.rates


@settings(max_examples=15, deadline=None)
@given(MOVES)
def test_what_has_no_level_still_acts_when_it_says(policy: Policy) -> None:
    start = Policy(Prune(OneShot(0.5)), Window(0, 1))
    planned = timeline.plan([start, policy], epochs=EPOCHS, steps_per_epoch=STEPS)
    assert list(planned.lanes[1].events) == rehearsed([start, policy], EPOCHS, STEPS).fired[1]


def test_without_a_rate_shares_of_it_are_shown() -> None:
    policy = Policy(SetLR(Linear(0.5, 1.0)), Window(unit="step"))
    shares = timeline.plan([policy], epochs=2, steps_per_epoch=3).lanes[0].curves[0].values
    assert [0.1 * share for share in shares] == pytest.approx(rehearsed([policy], 2, 3).rates, rel=1e-15)


def test_shares_by_shape_are_the_counts_of_training() -> None:
    from prunus.measure import sparsity
    from prunus.scheduler import CompressionScheduler
    from prunus.scopes import ErdosRenyi

    policy, model = Policy(Prune(Cubic(0.8), scope=ErdosRenyi()), Window(0, 4)), network()
    lane = timeline.plan([policy], epochs=4, model=model).lanes[0]
    assert [curve.targets for curve in lane.curves] == [(name,) for name in LAYERS]
    scheduler = CompressionScheduler(model, [policy])
    for epoch in scheduler.epochs(4):
        counted = [sparsity(model.get_parameter(name)) for name in LAYERS]
        assert [curve.values[epoch] for curve in lane.curves] == pytest.approx(counted, abs=1e-12)


def test_sets_are_asked_in_whole_members() -> None:
    lane = timeline.plan([Policy(Prune(Linear(0.5), structure=NM(2, 4)), Window(0, 5))], epochs=5).lanes[0]
    assert tuple(lane.curves[0].values) == (0.0, 0.0, 0.25, 0.25, 0.5)


def test_windows_of_steps_need_their_number() -> None:
    with pytest.raises(RunError, match=r"steps_per_epoch is missing.*SetLR in steps 0 to the end"):
        timeline.plan([SetLR(OneShot(0.5)), Prune(OneShot(0.5))], epochs=3)


def test_what_training_refuses_is_refused() -> None:
    with pytest.raises(SettingError, match="two policies move the learning rate"):
        timeline.plan([SetLR(OneShot(0.5)), SetLR(OneShot(0.1))], epochs=3, steps_per_epoch=2)


STEERED = {
    "feedback": (LambdaScheduler(target_sparsity=[0.5, 0.9]), {"lamda": "the sparsity reached"}, "sought", 0.9),
    "budget": (SparsityBudget(0.98), {}, "sparsity", 0.98),
    "quantile": (QuantileLambda(0.9), {"lamda": "the duals"}, "sparsity", 0.9),
}


@pytest.mark.parametrize("name", STEERED)
def test_steerings_say_what_is_known_and_what_is_not(name: str) -> None:
    steering, decided, quantity, last = STEERED[name]
    lane = timeline.plan([Steer(steering)], epochs=3, steps_per_epoch=4).lanes[0]
    (curve,) = lane.curves
    assert (dict(lane.decided), curve.quantity, curve.values[-1], len(curve.values)) == (decided, quantity, last, 12)
    assert not curve.lasts
    if name == "feedback":
        assert tuple(curve.values) == (0.5,) * 4 + (0.9,) * 8
    if name == "budget":
        assert curve.values[5] == steering.sparsity_at(5 / 11)


def test_a_steered_penalty_and_a_held_action_show_their_windows() -> None:
    policies = [Regularize(RegL1(0.1), steering=AdditiveLambda()), Adaptive(SetLR(Linear(0.1, 1.0)), "accuracy", 0.1)]
    penalty, rate = timeline.plan(policies, epochs=3, steps_per_epoch=4).lanes
    assert (penalty.decided, [curve.quantity for curve in penalty.curves]) == (
        {"lamda": "the sparsity reached"},
        ["sought"],
    )
    assert (rate.decided, rate.curves, rate.kind) == ({"rate": "accuracy within 0.1"}, (), "rate")
    assert penalty.offset is timeline.records.DURING and rate.words == "by accuracy: × 1 → 0.1, linear"


def test_an_action_of_ones_own_shows_its_window_and_can_say_more() -> None:
    from tests.recipes.timeline.own import Rest

    lane = timeline.plan([Policy(Rest(), Window(1, 3))], epochs=4).lanes[0]
    assert (lane.title, list(lane.events), lane.kind, lane.curves) == ("Rest", [1, 2], "other", ())


def test_short_runs_are_told_how_far_they_come() -> None:
    lane = timeline.plan([Policy(Prune(Linear(0.8)), Window(0, 9))], epochs=5).lanes[0]
    assert lane.warning == "comes to 50 % of its way: the run ends before epoch 8"
    assert lane.curves[0].values[-1] == 0.4
    steps = timeline.plan([Policy(Prune(Linear(0.8)), Window(50, unit="step"))], epochs=5, steps_per_epoch=10)
    assert (
        steps.idle == list(steps.lanes)
        and steps.lanes[0].warning == "never acts: begins with step 50, and the run has 50 steps"
    )


def test_targets_collect_what_is_asked_of_them() -> None:
    policies = [Policy(Prune(OneShot(0.5), select=Select(("0.weight",)))), Policy(Prune(OneShot(0.9)))]
    found = timeline.plan(policies, epochs=2, model=network()).targets
    assert {name: [curve.values[-1] for _, curve in asked] for name, asked in found.items()} == {
        "0.weight": [0.5, 0.9], "2.weight": [0.9], "4.weight": [0.9]
    }  # fmt: skip
