"""The lines of a panel: each value holds until the next firing, and faintly after the last."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from prunus.recipes.timeline import Timeline
from prunus.report.svg import Scale
from prunus.report.timeline.columns import START
from prunus.report.timeline.marks import Mark, Path
from prunus.report.timeline.panels import Series, until

Points = tuple[tuple[float, float], ...]
LINE, FAINT = 1.8, 0.45
SOUGHT = (2.0, 3.0)


def curve(series: Series, timeline: Timeline, x: Scale, y: Scale) -> Iterator[Mark]:
    """Yield the line of a curve, and its tail."""
    look = {"ink": series.lane.kind, "width": LINE, "tip": f"{series.number} {series.lane.title}"}
    dash = SOUGHT if series.curve.quantity == "sought" else None
    parts = _while_firing(series, timeline, x, y) if series.lane.offset is None else [_held(series, timeline, x, y)]
    for points in parts:
        yield Path(points, dash=dash, **look)  # type: ignore[arg-type]
    end, (right, height) = x(until(series, timeline)), parts[-1][-1]
    if series.curve.lasts and end > right:
        yield Path(((right, height), (end, height)), strength=FAINT, **look)  # type: ignore[arg-type]


def before(found: Sequence[Series], timeline: Timeline, x: Scale, y: Scale) -> Iterator[Mark]:
    """Yield the learning rate until the first policy sets it."""
    first = [one.curve.opening or (_first(one, timeline), one.curve.values[0]) for one in found]
    begin, value = min(first)
    if found[0].curve.quantity == "rate" and begin > 0.0:
        height = y(timeline.start)
        yield Path(((START, height), (x(begin), height), (x(begin), y(value))), "rate", LINE, FAINT)


def _first(series: Series, timeline: Timeline) -> float:
    return timeline.at(series.lane, series.lane.events[0])


def _held(series: Series, timeline: Timeline, x: Scale, y: Scale) -> Points:
    """Return stairs: up or down at each firing; a sparsity rises from nothing, one that does not last ends."""
    lane, curve = series.lane, series.curve
    found = [(x(curve.opening[0]), y(curve.opening[1]))] if curve.opening else []
    for place in curve.places():
        left, height = x(timeline.at(lane, lane.events[place])), y(curve.values[place])
        found += [(left, found[-1][1] if found else height), (left, height)]
    if curve.quantity == "sparsity" and not y.log:
        found.insert(0, (found[0][0], y(0.0)))
    if not curve.lasts:
        found.append((max(found[-1][0], x(lane.span[1])), found[-1][1]))
    return tuple(found)


def _while_firing(series: Series, timeline: Timeline, x: Scale, y: Scale) -> list[Points]:
    """Return one piece for each stretch of firings without a gap."""
    lane, each = series.lane, timeline.unit(series.lane)
    pieces: list[list[tuple[float, float]]] = []
    for place in series.curve.places():
        time, height = lane.events[place], y(series.curve.values[place])
        left, right = x(time / each), x((time + 1) / each)
        if not pieces or left - pieces[-1][-1][0] > 1.0:
            pieces.append([])
        pieces[-1] += [(left, height), (right, height)]
    return [tuple(piece) for piece in pieces]
