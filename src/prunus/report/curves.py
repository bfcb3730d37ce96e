"""Lines over the epochs of a run: sparsity, regularization strength, loss, accuracy."""

from __future__ import annotations

from collections.abc import Callable

from prunus.report import palette
from prunus.report.axes import Axis, Formatter, Frame, chart
from prunus.report.records import Point, Report, RunRecord
from prunus.report.svg import extent, tag, title

Reading = Callable[[Point], float | None]
"""Picks one figure of a point, None where it was not read."""

CLEARANCE = 0.06


def sparsity(report: Report) -> str:
    """Return the chart of sparsity in per cent over the epochs; empty when nothing was read.

    >>> from prunus.measure import Count
    >>> run = RunRecord("a", "a", None, Count(0, 1), 1.0, 1, 1.0, (Point(0.0, sparsity=0.0), Point(1.0, sparsity=0.5)))
    >>> sparsity(Report("", "", "", (run,))).count("<path")
    1
    """
    return _lines(report, lambda point: _percent(point.sparsity), "sparsity (%)", span=(-2.0, 102.0))


def strength(report: Report) -> str:
    """Return the chart of the regularizer's strength over the epochs, logarithmic, for the runs that have one.

    >>> from prunus.measure import Count
    >>> run = RunRecord("a", "a", None, Count(0, 1), 1.0, 1, 1.0, (Point(0.0, loss=0.5), Point(1.0, loss=0.25)))
    >>> strength(Report("", "", "", (run,)))
    ''
    """
    return _lines(report, lambda point: point.lamda or None, "λ", log=True)


def loss(report: Report) -> str:
    """Return the chart of the training loss over the epochs, logarithmic.

    >>> from prunus.measure import Count
    >>> run = RunRecord("a", "a", None, Count(0, 1), 1.0, 1, 1.0, (Point(0.0, loss=0.5), Point(1.0, loss=0.25)))
    >>> loss(Report("", "", "", (run,))).count("<path")
    1
    """
    return _lines(report, lambda point: point.loss or None, "training loss", log=True)


def accuracy(report: Report) -> str:
    """Return the chart of test accuracy over the epochs, cut off some points below the worst final accuracy."""
    finals = [run.accuracy for run in report.runs]
    low = max(0.0, min(finals) - CLEARANCE)
    span = 100 * low, min(100.5, 100 * max(finals) + 10 * CLEARANCE)
    return _lines(report, lambda point: _percent(point.accuracy), "test accuracy (%)", span=span)


def _percent(fraction: float | None) -> float | None:
    return None if fraction is None else 100 * fraction


def _lines(
    report: Report, read: Reading, label: str, *, log: bool = False, span: tuple[float, float] | None = None
) -> str:
    series = [(run, _series(run, read)) for run in report.runs]
    places = [place for _, found in series for place in found]
    if not places:
        return ""
    frame = Frame()
    x = Axis(frame.across(*_epochs(places)), "epoch", ticks=6)
    low, high = span or _range([value for _, value in places], log)
    y = Axis(frame.up(low, high, log), label, write=_plain(log))
    drawn = [_path(place, run, found, x, y, report) for place, (run, found) in enumerate(series) if found]
    name = label.removesuffix(" (%)").replace(" ", "-")
    return chart(frame, x, y, drawn, title=f"{label} over the epochs", name=name)


def _series(run: RunRecord, read: Reading) -> list[tuple[float, float]]:
    return [(point.epoch, value) for point in run.points if (value := read(point)) is not None]


def _epochs(places: list[tuple[float, float]]) -> tuple[float, float]:
    last = max(epoch for epoch, _ in places)
    return 0.0, last if last > 0 else 1.0


def _range(values: list[float], log: bool) -> tuple[float, float]:
    return (min(values) / 1.5, max(values) * 1.5) if log else extent(values)


def _plain(log: bool) -> Formatter:
    if not log:
        return "{:g}".format
    return lambda value: f"{value:.0e}".replace("e-0", "e-") if value < 1e-3 else f"{value:g}"


def _path(place: int, run: RunRecord, found: list[tuple[float, float]], x: Axis, y: Axis, report: Report) -> str:
    steps = " L".join(f"{x.scale(epoch):.1f} {y.scale(value):.1f}" for epoch, value in found)
    return tag(
        "path",
        title(run.name),
        d=f"M{steps}",
        class_=f"line series r{place}",
        stroke_dasharray=palette.dash(run, report),
    )
