"""The AGP levels that Distiller reaches, through a window and a cubic ramp."""

from __future__ import annotations

import pytest

from prunus.schedules import Cubic
from prunus.window import Window


@pytest.mark.parametrize(
    ("window", "initial", "final", "levels"),
    [
        (Window(0, 38, 2), 0.05, 0.8, {0: 0.05, 2: 0.16818, 4: 0.27325, 36: 0.8}),
        (Window(5, 15, 5), 0.1, 0.9, {5: 0.1, 10: 0.9}),
        (Window(5, 16, 5), 0.1, 0.9, {5: 0.1, 10: 0.8, 15: 0.9}),
        (Window(5, 17, 5), 0.1, 0.9, {5: 0.1, 10: 0.8, 15: 0.9}),
    ],
    ids=str,
)
def test_agp_levels_are_those_of_distiller(window, initial, final, levels):
    span, ramp = window.resolve(100), Cubic(final, initial)
    assert {epoch: round(ramp(span.progress(epoch)), 5) for epoch in levels} == levels
    assert ramp(span.progress(span.firings()[-1])) == final


def test_three_quarters_of_the_way_little_is_left_to_do():
    assert Cubic(0.64)(0.75) == pytest.approx(0.63)
