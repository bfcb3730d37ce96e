"""Run every schedule of the registry, with rising, falling and extreme levels, through every law."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import prunus.schedules
from prunus.errors import SettingError
from prunus.schedules import SCHEDULES
from tests.laws.schedules import LAWS

ENDS = [(0.8, 0.05), (0.9, 0.1), (0.3, 0.3), (0.2, 0.7), (1.0, 1e-12), (1, 1)]
WITH_ZERO = [(0.7, 0.0), (1.0, 0.0), (0.0, 0.0), (0.0, 1.0), (0, 0.1)]


def members_of(name):
    """Build one family member with each pair of ends it takes."""
    kind = SCHEDULES[name]
    if name == "levels":
        stairs = [(0.5,), (0.0, 1.0), (0.1, 0.1, 0.9), (0.9, 0.1, 0.9), [0.2, 0.4], (0, 1)]
        return [kind(levels) for levels in stairs]
    if name == "one_shot":
        return [kind(final) for final, _ in ENDS + WITH_ZERO]
    return [kind(final, initial) for final, initial in ENDS + ([] if name == "exponential" else WITH_ZERO)]


EVERY = [member for name in SCHEDULES for member in members_of(name)]


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
@pytest.mark.parametrize("schedule", EVERY, ids=repr)
def test_every_schedule_keeps_every_law(schedule, law):
    law(schedule)


fractions = st.floats(1e-6, 1.0)


@given(final=fractions, initial=fractions, name=st.sampled_from(sorted(set(SCHEDULES) - {"levels", "one_shot"})))
def test_any_two_ends_keep_every_law(final, initial, name):
    for law in LAWS:
        law(SCHEDULES[name](final, initial))


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("wrong", [1.5, -0.1, float("nan"), "0.5", True, None])
def test_levels_outside_the_unit_interval_are_refused(name, wrong):
    settings = {"levels": {"levels": (0.5, wrong)}, "exponential": {"final": wrong, "initial": 0.5}}
    with pytest.raises(SettingError, match=r"(levels\[1\]|final) is"):
        SCHEDULES[name](**settings.get(name, {"final": wrong}))


def test_registry_is_sorted_and_holds_every_member():
    assert list(SCHEDULES) == sorted(SCHEDULES)
    names = set(prunus.schedules.__all__) - {"SCHEDULES", "PruningScheduler", "Schedule"}
    assert set(SCHEDULES.values()) == {getattr(prunus.schedules, name) for name in names}
