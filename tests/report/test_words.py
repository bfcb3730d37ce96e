"""Figures in words, at the edges of their units."""

from __future__ import annotations

from dataclasses import replace

import pytest

from prunus.errors import SettingError
from prunus.measure import Count
from prunus.report import Histogram, RunRecord, words
from tests.report.examples import DENSE, PRUNED, REPORT, STEERED


@pytest.mark.parametrize(
    ("count", "said"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (999_949, "999.9 kB"), (1_000_000, "1.00 MB")]
)
def test_sizes(count: int, said: str) -> None:
    assert words.size(count) == said


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.0, "0.0 s"), (59.94, "59.9 s"), (59.96, "1 min 00 s"), (119.6, "2 min 00 s")]
)
def test_durations(seconds: float, said: str) -> None:
    assert words.duration(seconds) == said


@pytest.mark.parametrize(("change", "said"), [(0.0, "±0.00"), (-4e-5, "±0.00"), (-0.0005, "−0.05"), (0.012, "+1.20")])
def test_points(change: float, said: str) -> None:
    assert words.points(change) == said


@pytest.mark.parametrize(
    ("accuracy", "said"),
    [
        (0.973, "1.2 points of accuracy lost"),
        (0.985, "no accuracy lost"),
        (0.9849, "no accuracy lost"),
        (0.995, "no accuracy lost"),
    ],
)
def test_the_headline_tells_what_the_sparsest_run_cost(accuracy: float, said: str) -> None:
    best = replace(STEERED, accuracy=accuracy, count=Count(980, 1000))
    report = replace(REPORT, runs=(DENSE, PRUNED, best))
    assert words.headline(report) == f"98 % of the weights gone, {said}."


def test_a_high_sparsity_is_never_rounded_up_to_everything() -> None:
    best = replace(STEERED, count=Count(99_600, 100_000))
    assert words.headline(replace(REPORT, runs=(DENSE, best))).startswith("99.6 %")


def test_best_is_the_most_accurate_of_the_sparsest() -> None:
    assert REPORT.best is STEERED and REPORT.dense is DENSE
    worse = replace(STEERED, accuracy=0.5)
    assert replace(REPORT, runs=(DENSE, worse, STEERED, PRUNED)).best is STEERED


def test_records_refuse_what_cannot_be() -> None:
    with pytest.raises(SettingError, match=r"accuracy is 97\.5"):
        RunRecord("a", "a", None, Count(0, 1), 97.5, 1, 1.0)
    with pytest.raises(SettingError, match="asked is 90"):
        RunRecord("a", "a", 90, Count(0, 1), 0.9, 1, 1.0)
    with pytest.raises(SettingError, match="2 and 1 bins"):
        Histogram(0.0, 1.0, before=(1, 2), after=(1,))
    with pytest.raises(SettingError, match=r"from 1\.0 to 1\.0"):
        Histogram(1.0, 1.0, before=(1,), after=(1,))
