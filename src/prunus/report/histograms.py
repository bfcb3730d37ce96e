"""The weights of one run before and after training, as two histograms on a logarithmic count."""

from __future__ import annotations

from prunus.report.axes import Axis, Frame, chart
from prunus.report.records import Histogram, Report, RunRecord
from prunus.report.svg import Scale, tag

FRAME = Frame(width=352, height=214, left=44, bottom=42)


def weights(report: Report, run: RunRecord) -> str:
    """Return the histogram of the non-zero weights of ``run``: grey before training, in the run's colour after it.

    All runs of a report share one vertical scale, so the panels can be compared. Empty when there is no histogram.

    >>> from prunus.measure import Count
    >>> drawn = Histogram(-1.0, 1.0, before=(5, 5), after=(1, 0))
    >>> run = RunRecord("a", "a", 0.9, Count(9, 10), 1.0, 1, 1.0, histogram=drawn)
    >>> weights(Report("", "", "", (run,)), run).count("<path")
    2
    """
    if run.histogram is None:
        return ""
    place = report.runs.index(run)
    x = Axis(FRAME.across(run.histogram.low, run.histogram.high), "weight", ticks=4)
    y = Axis(FRAME.up(0.7, 1.5 * _tallest(report), log=True), "", _power)
    drawn = [_steps(run.histogram, run.histogram.before, x.scale, y.scale, "before")]
    drawn += [_steps(run.histogram, run.histogram.after, x.scale, y.scale, f"after r{place}")]
    return chart(FRAME, x, y, drawn, title=f"weights of {run.name} before and after", name=f"weights-{place}")


def _tallest(report: Report) -> int:
    drawn = [run.histogram for run in report.runs if run.histogram is not None]
    return max(10, *(max(*histogram.before, *histogram.after) for histogram in drawn))


def _power(count: float) -> str:
    return f"{count / 1000:g}k" if count >= 1000 else f"{count:g}"


def _steps(histogram: Histogram, counts: tuple[int, ...], across: Scale, up: Scale, class_: str) -> str:
    floor, path = up.start, f"M{across(histogram.low):.1f} {up.start:.1f}"
    for place, count in enumerate(counts):
        top = up(count) if count else floor
        left = across(histogram.low + place * histogram.width)
        path += f" L{left:.1f} {top:.1f} L{across(histogram.low + (place + 1) * histogram.width):.1f} {top:.1f}"
    return tag("path", d=f"{path} L{across(histogram.high):.1f} {floor:.1f} Z", class_=f"histogram {class_}")
