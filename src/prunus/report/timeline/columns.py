"""The columns of a timeline: names, the run, what is asked; and the places of epochs in it."""

from __future__ import annotations

from collections.abc import Iterator

from prunus.report.svg import Scale
from prunus.report.timeline.marks import Mark, Path, Words

WIDTH, LEFT, START, END, RIGHT = 1120.0, 16.0, 300.0, 830.0, 846.0
"""Pixels: the sheet, the names, the begin and the end of the run, what stands behind it."""
ROOM = START - LEFT - 26.0, WIDTH - RIGHT - 10.0
"""Pixels for a name, and for what stands behind."""
FEW = 3
"""Epochs of a run so short that parts of an epoch are marked."""


def across(epochs: int) -> Scale:
    """Return the scale of the run.

    >>> across(10)(0)
    300.0
    """
    return Scale(0.0, float(epochs), START, END)


def marked(x: Scale) -> list[float]:
    """Return the epochs that are marked: whole ones, unless the run is short.

    >>> marked(across(40)), marked(across(5))
    ([0.0, 5.0, 10.0, 15.0, 20.0, 25.0, 30.0, 35.0, 40.0], [0.0, 1.0, 2.0, 3.0, 4.0, 5.0])
    """
    ticks = x.ticks(8)
    return ticks if x.high < FEW else [tick for tick in ticks if tick == int(tick)]


def verticals(x: Scale, top: float, bottom: float) -> Iterator[Mark]:
    """Yield the faint lines by which all charts share their epochs.

    >>> [line.points for line in verticals(across(10), 10.0, 90.0)][-1]
    ((830.0, 10.0), (830.0, 90.0))
    """
    for epoch in marked(x):
        yield Path(((x(epoch), top), (x(epoch), bottom)), "rule")


def axis(x: Scale, y: float, unit: str) -> Iterator[Mark]:
    """Yield the figures of the epochs, with the base line of their text at ``y``.

    >>> [words.text for words in axis(across(10), 90.0, "epochs")][-3:]
    ['9', '10', 'epochs']
    """
    for epoch in marked(x):
        yield Words(f"{epoch:g}", x(epoch), y, anchor="middle")
    yield Words(unit, RIGHT, y)
