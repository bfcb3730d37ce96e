"""The picture that sums a report up: accuracy against size on disk, one mark a run."""

from __future__ import annotations

from prunus.report import words
from prunus.report.axes import Axis, Frame, chart
from prunus.report.records import Report, RunRecord
from prunus.report.svg import extent, spread, tag, text, title

FRAME = Frame(width=1080, height=340, left=64, right=96)


def accuracy_by_size(report: Report) -> str:
    """Return the chart of accuracy against bytes on disk (logarithmic); runs of one method are joined by a line.

    >>> from prunus.measure import Count
    >>> run = RunRecord("dense", "dense", None, Count(0, 100), 0.98, 4000, 3.0)
    >>> accuracy_by_size(Report("a net", "data.", "", (run,))).count("<circle")
    1
    """
    sizes = [run.size for run in report.runs]
    low, high = extent([100 * run.accuracy for run in report.runs], pad=0.18)
    x = Axis(FRAME.across(min(sizes) / 1.25, max(sizes) * 1.15, log=True), "size on disk", words.round_size)
    y = Axis(FRAME.up(low, min(high, 100.2)), "test accuracy (%)")
    inside = [_joined(runs, x, y, report) for runs in _methods(report).values() if len(runs) > 1]
    inside += [_baseline(report, y)]
    marks = _labels(report, x, y) + "".join(_mark(place, run, x, y) for place, run in enumerate(report.runs))
    return chart(FRAME, x, y, inside, title="test accuracy against size on disk", name="size", above=marks)


def _methods(report: Report) -> dict[str, list[RunRecord]]:
    found: dict[str, list[RunRecord]] = {}
    for run in report.runs:
        found.setdefault(run.method, []).append(run)
    return found


def _joined(runs: list[RunRecord], x: Axis, y: Axis, report: Report) -> str:
    steps = " L".join(f"{x.scale(run.size):.1f} {y.scale(100 * run.accuracy):.1f}" for run in runs)
    return tag("path", d=f"M{steps}", class_=f"line join r{report.runs.index(runs[0])}")


def _baseline(report: Report, y: Axis) -> str:
    if report.dense is None:
        return ""
    height = y.scale(100 * report.dense.accuracy)
    return tag("line", x1=FRAME.plot[0], x2=FRAME.plot[2], y1=height, y2=height, class_="baseline")


def _mark(place: int, run: RunRecord, x: Axis, y: Axis) -> str:
    across, up = x.scale(run.size), y.scale(100 * run.accuracy)
    name = f"{run.name}: {words.percent(run.accuracy)}, {words.size(run.size)}, {run.count}"
    return tag("circle", title(name), cx=across, cy=up, r=7, class_=f"dot series r{place}")


def _labels(report: Report, x: Axis, y: Axis) -> str:
    """Names beside the marks, spread out: runs asked for the same sparsity are of nearly one size."""
    drawn = []
    for level in dict.fromkeys(run.asked for run in report.runs):
        runs = [run for run in report.runs if run.asked == level]
        across = max(x.scale(run.size) for run in runs) + 22
        for run, up in zip(runs, spread([y.scale(100 * run.accuracy) for run in runs], gap=19), strict=True):
            mark = x.scale(run.size), y.scale(100 * run.accuracy)
            drawn.append(_label(report.runs.index(run), run, mark, (across, up)))
    return "".join(drawn)


def _label(place: int, run: RunRecord, mark: tuple[float, float], at: tuple[float, float]) -> str:
    leader = tag("line", x1=mark[0], y1=mark[1], x2=at[0] - 4, y2=at[1], class_=f"leader r{place}")
    return leader + text(run.name, at[0], at[1] + 4, f"name series r{place}")
