"""A lane in a row of characters: how much is asked by the height of blocks, or when it acts."""

from __future__ import annotations

from bisect import bisect_left
from math import ceil, floor

from prunus.recipes.timeline import Curve, Lane, Timeline
from prunus.recipes.timeline.records import AFTER

HEIGHTS = "▁▂▃▄▅▆▇█"
FIRES, ALWAYS, OPEN, IDLE = "▍", "█", "▒", "·"
ROUNDING = 1e-9
LEGEND = f"height: sparsity, or rate   {ALWAYS} acts   {FIRES} fires   {OPEN} decided while training"


def ruler(timeline: Timeline, room: int) -> str:
    """Return the epochs at the begin, in the middle and at the end, over so many columns.

    >>> ruler(Timeline((), 40), 30)
    '0             20            40'
    """
    half, last = f"{timeline.epochs / 2:g}", f"{timeline.epochs}"
    left = room // 2 - len(half) // 2
    return ("0" + " " * (left - 1) + half).ljust(room - len(last)) + last


def blocks(lane: Lane, timeline: Timeline, room: int) -> str:
    """Return a lane over so many columns.

    >>> lane = Lane("Prune", "", "prune", "", "epoch", range(2, 8, 2), (2.0, 8.0))
    >>> blocks(lane, Timeline((lane,), 10), 10)
    '  ▍·▍·▍·  '
    """
    if lane.curves and not lane.decided and lane.curves[0].quantity in ("sparsity", "rate"):
        return _heights(lane, lane.curves[0], timeline, room)
    return "".join(_sign(lane, timeline, place / room, (place + 1) / room) for place in range(room)).ljust(room)


def _sign(lane: Lane, timeline: Timeline, start: float, end: float) -> str:
    """Return the sign of a stretch, given in shares of the run."""
    start, end = start * timeline.epochs, end * timeline.epochs
    fires = _taken(lane, timeline, end) - _over(lane, timeline, start)
    if fires:
        sign = FIRES if lane.offset is not None and not _close(lane, timeline, end - start) else ALWAYS
        return OPEN if lane.decided and sign == ALWAYS else sign
    inside = lane.span[0] <= start < lane.span[1]
    return (OPEN if lane.decided else IDLE) if inside else " "


def _taken(lane: Lane, timeline: Timeline, epoch: float) -> int:
    """Return how many firings have taken hold before an epoch."""
    time = epoch * timeline.unit(lane)
    return bisect_left(lane.events, floor(time + ROUNDING) if lane.offset == AFTER else ceil(time - ROUNDING))


def _over(lane: Lane, timeline: Timeline, epoch: float) -> int:
    """Return how many firings are over before an epoch: those that last for their unit are over later."""
    if lane.offset is not None:
        return _taken(lane, timeline, epoch)
    return bisect_left(lane.events, floor(epoch * timeline.unit(lane) + ROUNDING))


def _close(lane: Lane, timeline: Timeline, width: float) -> bool:
    """Say whether firings are as close as the columns."""
    events = lane.events
    return len(events) > 1 and (events[-1] - events[0]) / (len(events) - 1) <= width * timeline.unit(lane)


def _heights(lane: Lane, curve: Curve, timeline: Timeline, room: int) -> str:
    """Return the value in force at the end of each column, as the height of a block."""
    most = max(curve.values[place] for place in curve.places()) if curve.quantity == "rate" else 1.0
    return "".join(_height(lane, curve, timeline, (place + 1) / room, most) for place in range(room))


def _height(lane: Lane, curve: Curve, timeline: Timeline, share: float, most: float) -> str:
    epoch = share * timeline.epochs
    taken, over = _taken(lane, timeline, epoch), epoch - timeline.epochs * ROUNDING > lane.span[1]
    if not taken or (over and not curve.lasts):
        return " "
    value = curve.values[taken - 1] / most if most else 0.0
    return HEIGHTS[max(0, min(7, ceil(8 * value - ROUNDING) - 1))]
