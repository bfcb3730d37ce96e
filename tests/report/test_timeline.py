"""A timeline to look at: all of it on the sheet, whatever the number of policies and the length of names."""

from __future__ import annotations

import re
import sys
from io import StringIO
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest
from rich.console import Console

from prunus.actions import Adaptive, Prune, Regularize, Rewire, SetLR, Steer
from prunus.errors import MissingExtraError, SettingError
from prunus.policy import Policy
from prunus.recipes.timeline import Timeline, plan
from prunus.regularizers import RegL1
from prunus.report.timeline import html, shown, timeline_picture
from prunus.report.timeline.blocks import blocks
from prunus.report.timeline.lanes import firings
from prunus.report.timeline.marks import WIDE, Box, Words
from prunus.report.timeline.marks import Path as Line
from prunus.report.timeline.sheet import drawing
from prunus.report.timeline.vector import svg
from prunus.schedules import Cubic, Linear, OneShot
from prunus.select import Select
from prunus.steering import LambdaScheduler, SparsityBudget
from prunus.window import Window

SVG = "{http://www.w3.org/2000/svg}"
LONG = "encoder.transformer.layers.{}.feed_forward.dense_projection_with_a_long_name.weight"


def many(count: int) -> list[Policy]:
    """Policies of all kinds, some of which never act, on parameters with long names."""
    found = []
    for place in range(count):
        select = Select((LONG.format(place),))
        prune = Prune(Cubic(0.3 + 0.02 * place), select=select)
        kinds = [prune, Regularize(RegL1(10.0 ** -(place % 6)), select), Rewire(select=select), prune]
        action = Adaptive(prune, "accuracy", 0.01) if place % 7 == 5 else kinds[place % 4]
        found.append(Policy(action, Window(place * 2, place * 2 + 9, 1 + place % 3)))
    return found


TIMELINES = {
    "none": Timeline((), 3),
    "one": plan([Prune(OneShot(0.9))], epochs=1),
    "native": plan([Prune(Linear(0.8)), SetLR(Linear(0.0, 1.0))], epochs=20, steps_per_epoch=100),
    "feedback": plan([Steer(LambdaScheduler()), SetLR(Linear(0.0, 1.0))], epochs=3, steps_per_epoch=7, lr=0.1),
    "budget": plan([Steer(SparsityBudget(0.9))], epochs=3, steps_per_epoch=2000),
    "dense": plan([Policy(Prune(Linear(0.8)), Window(0, 900, 2)), Regularize(RegL1(0.1))], epochs=1000),
    "many": plan(many(30), epochs=50),
}
every = pytest.mark.parametrize("name", TIMELINES)


@every
def test_everything_is_on_the_sheet(name: str) -> None:
    sheet = drawing(TIMELINES[name], "recipe.yaml")
    for mark in sheet.marks:
        if isinstance(mark, Words):
            length = WIDE * mark.size * len(mark.text)
            start = mark.x - {"start": 0.0, "middle": length / 2, "end": length}[mark.anchor]
            places = [(start, mark.y - mark.size), (start + length, mark.y)]
        elif isinstance(mark, Box):
            places = [(mark.x, mark.y), (mark.x + mark.width, mark.y + mark.height)]
            assert mark.width > 0
        else:
            assert isinstance(mark, Line)
            places = list(mark.points)
        assert all(0.0 <= x <= sheet.width and 0.0 <= y <= sheet.height for x, y in places), mark


@every
def test_the_picture_is_one_svg_that_stands_alone(name: str) -> None:
    drawn = svg(drawing(TIMELINES[name], "a < b"))
    root = ElementTree.fromstring(drawn)
    assert root.tag == f"{SVG}svg" and root.get("aria-label").startswith("a < b: ")
    assert drawn.replace('xmlns="http://www.w3.org/2000/svg"', "").count("http") == 0 and "nan" not in drawn
    assert "prefers-color-scheme:dark" in drawn
    assert len(drawn) < 400_000


@every
def test_labels_do_not_lie_on_each_other(name: str) -> None:
    labels = [mark for mark in drawing(TIMELINES[name]).marks if isinstance(mark, Words) and mark.anchor == "start"]
    for column in {mark.x for mark in labels}:
        heights = sorted(mark.y for mark in labels if mark.x == column)
        assert all(later - earlier >= 10.0 for earlier, later in pairwise(heights)), column


def printed(timeline: Timeline) -> list[str]:
    written = StringIO()
    Console(width=80, file=written).print(shown(timeline, "recipe.yaml"))
    return written.getvalue().splitlines()


@every
def test_a_terminal_of_80_columns_is_enough(name: str) -> None:
    lines = printed(TIMELINES[name])
    assert all(len(line) <= 80 for line in lines)
    rows = [line for line in lines if re.match(r" {1,2}\d+ [A-Z]\w+ ", line)]
    assert len(rows) == len(TIMELINES[name].lanes)


def test_what_never_acts_is_said_first_and_loudly() -> None:
    lanes = TIMELINES["many"].idle
    assert len(lanes) == 5
    lines = printed(TIMELINES["many"])
    assert lines[0] == "recipe.yaml: 30 policies over 50 epochs"
    assert sum(line.startswith("✕ policy") for line in lines) == 5
    page, picture = html(TIMELINES["many"]), drawing(TIMELINES["many"])
    assert page.count('class="alarm"') == sum(bool(lane.warning) for lane in TIMELINES["many"].lanes)
    said = [mark for mark in picture.marks if isinstance(mark, Words) and mark.text.startswith("never acts")]
    assert len(said) == 5 and all(mark.ink == "alarm" and mark.bold for mark in said)


@every
def test_the_page_is_one_file(name: str) -> None:
    page = html(TIMELINES[name], "a < b.yaml")
    assert "a &lt; b.yaml" in page and "<script" not in page and "http" not in page
    assert page.count("<tr") == 1 + len(TIMELINES[name].lanes)


def test_rows_of_blocks_say_when_and_how_much() -> None:
    policies = [
        Policy(Prune(Linear(1.0, 1 / 8))),
        Policy(Regularize(RegL1(0.1)), Window(0, 8, 4)),
        Policy(Rewire(), Window(1, 8, 3)),
        Policy(Adaptive(Prune(Linear(0.9)), "accuracy", 0.1), Window(2, 6, 2)),
    ]
    lanes = plan(policies, epochs=8)
    assert [blocks(lane, lanes, 8) for lane in lanes.lanes] == ["▁▂▃▄▅▆▇█", "█···█···", " ▍··▍··▍", "  ▍▒▍▒  "]
    assert [blocks(lane, lanes, 4) for lane in lanes.lanes] == ["▂▄▆█", "█·█·", "▍·▍▍", " ▒▒ "]
    rate = plan([Policy(SetLR(Linear(0.0, 1.0)), Window(2, 6, unit="step"))], epochs=2, steps_per_epoch=4)
    assert blocks(rate.lanes[0], rate, 8) == "  █▆▃▁▁▁"


def test_ticks_that_would_touch_are_one_bar() -> None:
    from prunus.report.timeline.columns import across

    for frequency, ticks in ((1, 1), (20, 50), (2, 1)):
        lanes = plan([Policy(Rewire(), Window(frequency=frequency))], epochs=1000)
        assert len(firings(lanes.lanes[0], lanes, across(1000))) == ticks


@pytest.mark.parametrize("suffix", [".png", ".svg", ".html", ".pdf"])
def test_the_suffix_says_what_is_written(suffix: str, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the picture needs matplotlib")
    path = timeline_picture(TIMELINES["many"], tmp_path / "deep" / f"timeline{suffix}", name="many.yaml")
    begin = {".png": b"\x89PNG", ".svg": b"<svg", ".html": b"<!doctype", ".pdf": b"%PDF"}[suffix]
    assert path.read_bytes().startswith(begin)


def test_a_dark_picture_is_dark(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the picture needs matplotlib")
    from matplotlib.image import imread

    for dark in (False, True):
        path = timeline_picture(TIMELINES["native"], tmp_path / "timeline.png", dark=dark)
        assert (imread(path)[0, 0, :3].mean() < 0.5) == dark


def test_an_unknown_suffix_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"'\.pgn', which is unknown. Did you mean '\.png'"):
        timeline_picture(TIMELINES["one"], tmp_path / "timeline.pgn")


@pytest.mark.parametrize(("missing", "suffix"), [("matplotlib.figure", ".png"), ("jinja2", ".html")])
def test_without_an_extra_it_is_named(
    missing: str, suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(MissingExtraError, match=r"prunus\[report\].*\.svg needs nothing"):
        timeline_picture(TIMELINES["one"], tmp_path / f"timeline{suffix}")
    assert timeline_picture(TIMELINES["one"], tmp_path / "timeline.svg").exists()
