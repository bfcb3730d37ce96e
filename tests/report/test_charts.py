"""Scales, ticks and charts: figures land where they belong, also when there is hardly anything to draw."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from prunus.errors import MissingExtraError, SettingError
from prunus.report import Point, bars, curves, histograms, palette, picture, scatter
from prunus.report.svg import Scale, extent, spread
from tests.report.examples import DENSE, PRUNED, REPORT, STEERED

FINITE = some.floats(-1e6, 1e6)


@given(some.floats(-1e6, 1e6), some.floats(1e-3, 1e6))
def test_linear_ticks_are_inside_and_few(low: float, length: float) -> None:
    ticks = Scale(low, low + length, 0, 100).ticks()
    slack = 1e-6 * max(1.0, abs(low), length)
    assert 2 <= len(ticks) <= 11 and ticks == sorted(set(ticks))
    assert low - slack <= ticks[0] and ticks[-1] <= low + length + slack


@given(some.floats(1e-6, 1e3), some.floats(1.2, 1e6))
def test_logarithmic_ticks_are_inside_and_few(low: float, factor: float) -> None:
    ticks = Scale(low, low * factor, 0, 100, log=True).ticks()
    assert 1 <= len(ticks) <= 12 and all(low * 0.999 <= tick <= low * factor * 1.001 for tick in ticks)


def test_scales_meet_their_ends_and_survive_zero() -> None:
    scale = Scale(0.01, 10, 300, 0, log=True)
    assert scale(0.01) == pytest.approx(300) and scale(10) == pytest.approx(0) and scale(0.0) > 300


@pytest.mark.parametrize("ends", [(1, 1, False), (2, 1, False), (0, 1, True), (-1, 1, True)])
def test_scales_without_extent_are_refused(ends: tuple[float, float, bool]) -> None:
    with pytest.raises(SettingError, match="has no extent"):
        Scale(ends[0], ends[1], 0, 1, log=ends[2])


@given(some.lists(FINITE, min_size=1, max_size=8))
def test_extent_holds_everything_and_is_never_empty(values: list[float]) -> None:
    low, high = extent(values)
    assert low < min(values) <= max(values) < high


@given(some.lists(some.floats(0, 300), min_size=1, max_size=8))
def test_spread_labels_keep_their_order_and_distance(places: list[float]) -> None:
    moved = spread(places, gap=19)
    order = sorted(range(len(places)), key=places.__getitem__)
    steps = [moved[after] - moved[before] for before, after in pairwise(order)]
    assert all(step >= 19 - 1e-6 for step in steps)
    assert sum(moved) == pytest.approx(sum(places), abs=1e-6)


def test_one_line_a_run_and_none_where_nothing_was_read() -> None:
    assert curves.sparsity(REPORT).count("<path") == 3
    assert curves.strength(REPORT).count("<path") == 2  # a dense run has no λ
    silent = replace(REPORT, runs=(replace(DENSE, points=()),))
    assert curves.loss(silent) == "" and curves.accuracy(silent) == ""


def test_a_single_point_or_a_loss_of_zero_still_draws() -> None:
    lonely = replace(DENSE, points=(Point(0.0, loss=0.0, sparsity=0.0, accuracy=1.0),))
    report = replace(REPORT, runs=(lonely,))
    assert curves.sparsity(report).count("<path") == 1 and curves.loss(report) == ""
    assert "nan" not in curves.accuracy(report)


def test_lines_go_through_their_points() -> None:
    drawn = curves.sparsity(REPORT)
    last = re.findall(r'd="M([^"]+)"', drawn)[0].split(" L")[-1]
    x, y = map(float, last.split())
    assert x == pytest.approx(506, abs=0.1)  # the last epoch is the right edge of the plot
    assert y == pytest.approx(254 - (90 + 2) / 104 * 240, abs=0.1)


def test_layers_are_drawn_for_the_runs_of_one_sparsity() -> None:
    assert bars.layers(REPORT, 0.9).count('class="bar') == 2
    assert bars.layers(REPORT, None) == ""


def test_an_empty_bin_reaches_the_floor() -> None:
    drawn = histograms.weights(REPORT, PRUNED)
    after = re.findall(r'd="([^"]+)" class="histogram after', drawn)[0]
    assert after.count(" 172.0") == 4  # start, both ends of the empty bin, end
    assert histograms.weights(REPORT, DENSE) == ""


def test_every_run_has_a_mark_and_a_name_beside_it() -> None:
    drawn = scatter.accuracy_by_size(REPORT)
    assert drawn.count("<circle") == 3 and drawn.count('class="name series') == 3


def test_one_colour_a_method_and_one_dash_a_sparsity() -> None:
    colours = palette.colours(REPORT)
    assert colours["magnitude"] == palette.COLOURS["magnitude"] and colours["own"] == palette.SPARE[0]
    assert [palette.dash(run, REPORT) for run in (DENSE, PRUNED, STEERED)] == ["none", "7 4", "none"]


def test_the_picture_is_a_small_png(tmp_path: Path) -> None:
    path = picture(REPORT, tmp_path / "images" / "demo.png")
    content = path.read_bytes()
    assert content.startswith(b"\x89PNG") and len(content) < 150_000


def test_a_missing_matplotlib_names_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtraError, match=r"prunus\[report\]"):
        picture(REPORT, tmp_path / "demo.png")
