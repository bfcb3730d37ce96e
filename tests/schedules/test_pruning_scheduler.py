"""The epochs of a ramp, by hand, and what a scheduler remembers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunus.errors import CheckpointError, SettingError
from prunus.schedules import PruningScheduler

# schedule(p) at p = 1/4, 1/2, 3/4, 1 between 0.2 and 0.8, worked out by hand
BY_HAND = {
    "linear": [0.35, 0.5, 0.65, 0.8],
    "constant": [1 - 0.8 * 0.25**0.25, 0.6, 1 - 0.8 * 0.25**0.75, 0.8],
    "constant_rate": [1 - 0.8 * 0.25**0.25, 0.6, 1 - 0.8 * 0.25**0.75, 0.8],
    "cubic": [0.8 - 0.6 * 27 / 64, 0.8 - 0.6 / 8, 0.8 - 0.6 / 64, 0.8],
    "exponential": [0.2 * 4**0.25, 0.4, 0.2 * 4**0.75, 0.8],
}


@pytest.mark.parametrize("kind", BY_HAND)
def test_the_first_epoch_prunes_and_the_last_reaches_the_goal(kind: str) -> None:
    scheduler = PruningScheduler(kind, 0.8, 4, 0.2)
    assert [scheduler(epoch) for epoch in range(4)] == pytest.approx(BY_HAND[kind])
    assert scheduler(3) == scheduler(4) == scheduler(400) == 0.8
    assert scheduler.schedule_map == {epoch: scheduler(epoch) for epoch in range(4)}


@given(st.sampled_from(sorted(BY_HAND)), st.integers(0, 30), st.floats(0.01, 1), st.floats(0.01, 1))
def test_no_epoch_is_below_the_one_before_and_none_leaves_the_range(kind: str, n: int, one: float, two: float) -> None:
    scheduler = PruningScheduler(kind, max(one, two), n, min(one, two))
    levels = [scheduler(epoch) for epoch in range(n + 2)]
    assert levels == sorted(levels) and min(levels) >= scheduler.initial_sparsity
    assert levels[max(1, n) - 1] == scheduler.final_sparsity == max(levels)


def test_a_goal_of_one_is_met_by_every_rate() -> None:
    assert PruningScheduler("constant", 1.0, 3)(2) == 1.0
    assert PruningScheduler("constant", 1.0, 3, initial_sparsity=1.0)(0) == 1.0


def test_a_ramp_longer_than_the_run_is_refused() -> None:
    scheduler = PruningScheduler("linear", 0.5, 10)
    for enough in (10, 11, None, -1):
        scheduler.verify_schedule_feasibility(enough)
    with pytest.raises(ValueError, match="epochs_to_ramp is 10, but the run has only 9 epochs"):
        scheduler.verify_schedule_feasibility(9)
    PruningScheduler("linear", 0.5, 0).verify_schedule_feasibility(1)


def test_a_saved_scheduler_replaces_another_even_through_json() -> None:
    saved = PruningScheduler("cubic", 0.9, 5, 0.1)
    other = PruningScheduler("linear", 0.5, 2)
    other.load_state_dict(json.loads(json.dumps(saved.state_dict())))
    assert other == saved and other.schedule_map == saved.schedule_map


@pytest.mark.parametrize(
    "change", [{"final_sparsity": 2.0}, {"schedule_type": "cosine"}, {"schedule_map": {0: 0.7}}, {"schedule_map": [1]}]
)
def test_a_damaged_state_changes_nothing(change: dict[str, Any]) -> None:
    scheduler = PruningScheduler("linear", 0.5, 2)
    before = scheduler.state_dict()
    for state in ({**before, **change}, {name: value for name, value in before.items() if name != "epochs_to_ramp"}):
        with pytest.raises(CheckpointError, match="schedule"):
            scheduler.load_state_dict(state)
    assert scheduler.state_dict() == before


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (("cubik", 0.5, 2), "schedule_type is 'cubik', which is unknown. Did you mean 'cubic'"),
        (("linear", 50, 2), "for 50 % write 0.5"),
        (("linear", 0.5, -1), "epochs_to_ramp is -1"),
        (("linear", 0.5, 2, 0.6), "masks only tighten"),
        (("exponential", 0.5, 2), "nothing|zero"),
    ],
)
def test_settings_are_checked(settings: tuple[Any, ...], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        PruningScheduler(*settings)
    with pytest.raises(SettingError, match="epoch is -1"):
        PruningScheduler("linear", 0.5, 2)(-1)
