"""A panel drawn: its name, its scale, its curves with their labels, and strips for what is open."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from prunus.recipes.timeline import Lane, Timeline
from prunus.recipes.timeline.words import names
from prunus.report.svg import Scale, spread
from prunus.report.timeline.columns import END, LEFT, RIGHT, ROOM, START
from prunus.report.timeline.curves import before, curve
from prunus.report.timeline.lanes import BAR, PALE
from prunus.report.timeline.marks import Box, Mark, Path, Words, fitted
from prunus.report.timeline.panels import Panel, Series

GAP, STRIP, BETWEEN, LABEL, FLAT, MOST = 30.0, 20.0, 8.0, 14.0, 36.0, 24
"""Pixels above a panel, of a strip, above strips, of a label, and of a chart with one value; the most labels."""
SPACE = "\N{EN SPACE}"
APART, FEW = 20.0, 4
"""A scale is logarithmic when its largest value is so many times its smallest; so few values are named one by one."""


def height(panel: Panel, timeline: Timeline) -> float:
    """Return the pixels of a panel, the gap above it included."""
    found = panel.series(timeline)
    least = FLAT if len(_values(found)) == 1 else panel.height
    chart = max(least, LABEL * (len(_labelled(found, panel)) + 1)) if found else 0.0
    return GAP + chart + _open_height(panel, timeline)


def _open_height(panel: Panel, timeline: Timeline) -> float:
    """Return the pixels of the strips, and of the gap between them and a chart above."""
    strips = panel.open(timeline)
    return STRIP * len(strips) + (BETWEEN if strips and panel.series(timeline) else 0.0)


def chart(panel: Panel, timeline: Timeline, x: Scale, top: float) -> Iterator[Mark]:
    """Yield the marks of a panel whose gap begins at ``top``."""
    found, strips = panel.series(timeline), panel.open(timeline)
    end, top = top + height(panel, timeline), top + GAP
    bottom, below = end - _open_height(panel, timeline), end - STRIP * len(strips)
    yield Words(panel.name, LEFT, top + 10.0, "text", 13.0, bold=True)
    yield Words(panel.note, LEFT, top + 25.0, size=11.5)
    if found:
        y = _scale(found, timeline, bottom, top)
        yield from _ticks(panel, found, y)
        yield from before(found, timeline, x, y)
        for series in found:
            yield from curve(series, timeline, x, y)
        yield from _labels(found, panel, y)
    if strips:
        yield Words("decided while training", START - 8.0, below + STRIP / 2 + 4.0, size=11.0, anchor="end")
    for place, strip in enumerate(strips):
        yield from _strip(*strip, x, below + (place + 0.5) * STRIP)


def _scale(found: Sequence[Series], timeline: Timeline, bottom: float, top: float) -> Scale:
    if found[0].curve.quantity in ("sparsity", "sought"):
        return Scale(0.0, 1.0, bottom, top)
    start = {timeline.start} if found[0].curve.quantity == "rate" else set()
    low, high = min(_values(found) | start), max(_values(found) | start)
    if low > 0.0 and high / low >= APART:
        return Scale(low / 1.3, high * 1.3, bottom, top, log=True)
    return Scale(0.0, 1.08 * high or 1.0, bottom, top)


def _values(found: Sequence[Series]) -> set[float]:
    return set().union(*(one.values for one in found))


def _ticks(panel: Panel, found: Sequence[Series], y: Scale) -> Iterator[Mark]:
    """Yield lines and figures at round values; where few values are asked for, at those."""
    asked = sorted(_values(found))
    values = [0.0, 0.5, 1.0] if panel.quantities[0] == "sparsity" else asked if len(asked) <= FEW else y.ticks(3)
    apart = spread([y(value) for value in values], LABEL)
    for value, place in zip(values, apart, strict=True):
        yield Path(((START, y(value)), (END, y(value))), "rule")
        yield Words(panel.write(value), START - 8.0, place + 4.0, size=11.0, anchor="end")


def _labelled(found: Sequence[Series], panel: Panel) -> list[list[Series]]:
    """Return the curves by what they come to, highest first; beyond MOST only every so many."""
    ordered = sorted(found, key=lambda one: (-one.curve.values[-1], one.curve.quantity, one.number))
    together = [list(group) for _, group in groupby(ordered, lambda one: _end(one, panel))]
    last = len(together) - 1
    return together if last < MOST else [together[place * last // (MOST - 1)] for place in range(MOST)]


def _end(series: Series, panel: Panel) -> tuple[str, str]:
    return series.curve.quantity, panel.write(series.curve.values[-1])


def _labels(found: Sequence[Series], panel: Panel, y: Scale) -> Iterator[Mark]:
    """Yield what each curve comes to, at its end."""
    groups = _labelled(found, panel)
    ends = [y(group[0].curve.values[-1]) for group in groups]
    for group, end, place in zip(groups, ends, _inside(spread(ends, LABEL), y), strict=True):
        ink = group[0].lane.kind
        if abs(place - end) > 2.0:
            yield Path(((END + 2.0, end), (RIGHT - 3.0, place)), ink, 0.8, 0.45)
        said = _said(group, panel)
        yield Words(fitted(said, ROOM[1], 11.5), RIGHT, place + 4.0, ink, 11.5, tip=said)


def _inside(places: list[float], y: Scale) -> list[float]:
    """Return labels moved together so that none is below the panel."""
    return [place - max(0.0, max(places) - y.start) for place in places]


def _said(group: Sequence[Series], panel: Panel) -> str:
    """Return whose curves they are and what they come to; of which targets, where a policy has several curves."""
    numbers = list(dict.fromkeys(str(one.number) for one in group))
    who = ", ".join(numbers) if len(numbers) <= FEW else f"{len(numbers)} policies"
    kind, value = _end(group[0], panel)
    several = any(sum(other.quantity == kind for other in one.lane.curves) > 1 for one in group)
    targets = tuple(dict.fromkeys(target for one in group for target in one.curve.targets)) if several else ()
    sought = " sought" if kind == "sought" else ""
    return SPACE.join(part for part in (who, value + sought, names(targets)) if part)


def _strip(number: int, lane: Lane, by: str, x: Scale, middle: float) -> Iterator[Mark]:
    start, end = x(lane.span[0]), x(lane.span[1])
    place = start, middle - BAR / 2, end - start, BAR
    yield Box(*place, lane.kind, PALE)
    yield Box(*place, lane.kind, dashed=True)
    yield Words(fitted(f"{number}{SPACE}by {by}", ROOM[1], 11.5), RIGHT, middle + 4.0, lane.kind, 11.5)
