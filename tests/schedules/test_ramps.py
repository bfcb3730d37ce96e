"""Closed forms and published figures of the ramps between two levels."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunus.errors import SettingError
from prunus.schedules import ConstantRate, Exponential, Linear, OneShot
from prunus.window import Window


def test_exponential_levels_of_five_rounds():
    rounds = [Exponential(0.8, 0.2)((i + 1) / 5) for i in range(5)]
    assert [round(level, 5) for level in rounds] == [0.26390, 0.34822, 0.45948, 0.60629, 0.8] and rounds[-1] == 0.8


def test_exponential_levels_of_three_rounds():
    assert [round(Exponential(0.7, 0.2)((i + 1) / 3), 5) for i in range(3)] == [0.30366, 0.46104, 0.7]


@pytest.mark.parametrize("ends", [(0.8, 0.0), (0.0, 0.2), (0, 0)])
def test_exponential_says_that_nothing_grows_out_of_zero(ends):
    with pytest.raises(SettingError, match=r"is 0.*more than 0.*try Cubic"):
        Exponential(*ends)


@given(final=st.floats(0.0, 0.999), initial=st.floats(0.0, 0.999), cycles=st.integers(2, 50))
def test_constant_rate_takes_the_same_share_of_what_remains(final, initial, cycles):
    density = [1 - ConstantRate(final, initial)(cycle / cycles) for cycle in range(cycles + 1)]
    share = (density[-1] / density[0]) ** (1 / cycles)
    assert [b / a for a, b in itertools.pairwise(density)] == pytest.approx([share] * cycles, rel=1e-6)


def test_constant_rate_reaches_one_exactly_and_stays_below_until_then():
    ramp = ConstantRate(1.0)
    assert ramp(1) == 1.0 and ramp(0.5) == pytest.approx(1 - 1e-9**0.5) and ramp(1 - 1e-9) < 1.0


def test_constant_rate_from_everything_pruned_comes_down_to_its_end():
    ramp = ConstantRate(0.5, initial=1.0)
    assert ramp(0) == 1.0 and ramp(1) == 0.5 and not ramp.monotone


@given(p=st.floats(0, 1), level=st.floats(0, 1))
def test_a_flat_ramp_is_flat_bit_for_bit(p, level):
    assert Linear(level, level)(p) == ConstantRate(level, level)(p) == OneShot(level)(p) == level


def test_a_single_firing_reaches_the_final_level_at_once():
    span = Window(7, 8).resolve(10)
    assert Linear(0.9)(span.progress(7)) == 0.9
