"""Staircases through windows: every stair once, none late by a float error."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunus.errors import SettingError
from prunus.schedules import Levels
from prunus.schedules.levels import stair
from prunus.window import Window


@given(count=st.integers(1, 300), frequency=st.integers(1, 7))
def test_as_many_firings_as_levels_use_each_once(count, frequency):
    span = Window(3, 3 + count * frequency, frequency).resolve(None)
    steps = Levels(tuple(i / count for i in range(count)))
    expected = list(steps.levels) if count > 1 else [steps.final]
    assert [steps(span.progress(time)) for time in span.firings()] == expected


@pytest.mark.parametrize("count", [1, 3, 49, 100, 1000])
def test_a_stair_begins_exactly_where_it_is_written(count):
    assert [stair(step / count, count) for step in range(count)] == list(range(count))


@pytest.mark.parametrize("wrong", [(), [], 0.5, "0.5", None])
def test_no_levels_are_refused_with_an_example(wrong):
    with pytest.raises(SettingError, match=r"such as \(0.5, 0.7, 0.9\)"):
        Levels(wrong)


def test_the_wrong_level_is_named():
    with pytest.raises(SettingError, match=r"levels\[1\] is 70, .*write 0.7"):
        Levels((0.5, 70))
