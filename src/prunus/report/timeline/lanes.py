"""The lanes of a timeline: a row a policy, its window a pale bar, its firings ticks."""

from __future__ import annotations

from collections.abc import Iterator

from prunus.recipes.timeline import Lane, Timeline
from prunus.recipes.timeline.words import names
from prunus.report.svg import Scale
from prunus.report.timeline.columns import END, LEFT, RIGHT, ROOM, START
from prunus.report.timeline.marks import WIDE, Box, Mark, Path, Words, fitted, parted

ROW, TIGHT, MANY = 26.0, 19.0, 12
"""Pixels of a row, those of one where there are more than so many."""
BAR, TICK, CLOSE = 12.0, 2.5, 4.0
"""Pixels: the height of a bar, the width of a tick, and the distance from which on ticks are one bar."""
PALE, SHORT = 0.22, 60.0
"""The strength of a window without firings; pixels below which targets are left out."""


def row_height(timeline: Timeline) -> float:
    """Return the pixels of a row.

    >>> row_height(Timeline((), 3))
    26.0
    """
    return ROW if len(timeline.lanes) <= MANY else TIGHT


def lanes(timeline: Timeline, x: Scale, top: float) -> Iterator[Mark]:
    """Yield the marks of all rows, the first one below ``top``."""
    row, short = row_height(timeline), parted({lane.targets[0] for lane in timeline.lanes if len(lane.targets) == 1})
    for place, lane in enumerate(timeline.lanes):
        middle = top + (place + 0.5) * row
        yield from _names(lane, place + 1, short.get(names(lane.targets), names(lane.targets)), middle)
        yield from _bars(lane, timeline, x, middle) if lane.acts else _absence(lane, middle)


def _names(lane: Lane, number: int, targets: str, middle: float) -> Iterator[Mark]:
    """Yield number, name and targets on the left, what it does on the right."""
    tip = " · ".join(word for word in (lane.title, lane.words, lane.window, ", ".join(lane.targets)) if word)
    title, left = fitted(lane.title, ROOM[0], 12.5), LEFT + 22.0
    rest = ROOM[0] - 12.5 * WIDE * (len(title) + 1)
    yield Words(str(number), LEFT + 14.0, middle + 4.0, anchor="end", size=11.0)
    yield Words(title, left, middle + 4.0, lane.kind if lane.acts else "alarm", 12.5, bold=True, tip=tip)
    if rest > SHORT:
        yield Words(fitted(targets, rest, 11.0), START - 10.0, middle + 4.0, size=11.0, anchor="end", tip=tip)
    said, ink = (lane.warning.partition(":")[0], "alarm") if lane.warning else (lane.words, "soft")
    if lane.acts:
        yield Words(fitted(said, ROOM[1], 11.5), RIGHT, middle + 4.0, ink, 11.5, tip=lane.warning or tip)


def _absence(lane: Lane, middle: float) -> Iterator[Mark]:
    """Yield, across the run, that a policy never acts."""
    yield Path(((START, middle), (END, middle)), "alarm", 1.0, 0.6, (2.0, 4.0))
    yield Words("✕", END + 3.0, middle + 4.5, "alarm", 13.0, bold=True)
    said = fitted(lane.warning, ROOM[1] + 240.0, 11.5)
    yield Box(START + 6.0, middle - 8.0, 0.56 * 11.5 * len(said) + 12.0, 16.0, "card")
    yield Words(said, START + 12.0, middle + 4.0, "alarm", 11.5, bold=True)


def _bars(lane: Lane, timeline: Timeline, x: Scale, middle: float) -> Iterator[Mark]:
    """Yield the window, and the firings in it: ticks, or one bar where they are close; dashed where it is open."""
    top, tip = middle - BAR / 2, f"{lane.title}: {len(lane.events):,} times in {lane.window}"
    start, end = x(lane.span[0]), x(lane.span[1])
    for left, right in firings(lane, timeline, x):
        strength = 0.75 if lane.decided else 1.0
        yield Box(left, top, max(TICK, min(right, END) - left), BAR, lane.kind, strength, tip=tip)
    yield Box(start, top, max(end - start, TICK), BAR, lane.kind, PALE, tip=tip)
    if lane.decided:
        yield Box(start, top - 2.5, max(end - start, TICK), BAR + 5.0, lane.kind, dashed=True, tip=tip)


def firings(lane: Lane, timeline: Timeline, x: Scale) -> list[tuple[float, float]]:
    """Return the begin and end of each tick in pixels; ticks that would touch become one.

    >>> from prunus.report.timeline.columns import across
    >>> lane = Lane("Prune", "", "prune", "", "epoch", range(3), (0.0, 3.0))
    >>> len(firings(lane, Timeline((lane,), 10), across(10))), len(firings(lane, Timeline((lane,), 500), across(500)))
    (3, 1)
    """
    each, events = timeline.unit(lane), lane.events
    length = max(TICK, x(1 / each) - x(0.0)) if lane.offset is None else TICK
    found: list[tuple[float, float]] = []
    nearest = x(1 / each) - x(0.0) if len(events) < 2 else x((events[1] - events[0]) / each) - x(0.0)
    if nearest < CLOSE and isinstance(events, range):
        return [(x(timeline.at(lane, events[0])), x(timeline.at(lane, events[-1])) + length)]
    for time in events:
        left = x(timeline.at(lane, time))
        if found and left - found[-1][1] < CLOSE - TICK:
            found[-1] = found[-1][0], left + length
        else:
            found.append((left, left + length))
    return found
