"""The whole picture: title, lanes, panels, one axis of epochs."""

from __future__ import annotations

from collections.abc import Iterator

from prunus.recipes.timeline import Timeline
from prunus.report.timeline.charts import chart, height
from prunus.report.timeline.columns import LEFT, WIDTH, across, axis, verticals
from prunus.report.timeline.lanes import lanes, row_height
from prunus.report.timeline.marks import Drawing, Mark, Words
from prunus.report.timeline.panels import panels

HEAD, BARE, FOOT = 64.0, 30.0, 30.0
"""Pixels above the lanes, with a title and without, and below the last panel."""


def drawing(timeline: Timeline, name: str = "timeline", *, titled: bool = True) -> Drawing:
    """Return the picture of a timeline; ``name`` is that of the recipe.

    >>> drawing(Timeline((), 3), "recipe.yaml").title
    'recipe.yaml: 0 policies over 3 epochs'
    """
    top = HEAD if titled else BARE
    bottom = top + row_height(timeline) * len(timeline.lanes) + sum(height(one, timeline) for one in panels(timeline))
    marks = [*(_title(timeline, name) if titled else ()), *_marks(timeline, top, bottom)]
    return Drawing(WIDTH, bottom + FOOT, tuple(marks), f"{name}: {length(timeline)}")


def length(timeline: Timeline) -> str:
    """Return in words how many policies there are and how long the run is.

    >>> length(Timeline((), 3, 100))
    '0 policies over 3 epochs of 100 steps'
    """
    count, epochs = len(timeline.lanes), timeline.epochs
    steps = f" of {timeline.steps_per_epoch:,} steps" if timeline.steps_per_epoch else ""
    return (
        f"{count} {'policy' if count == 1 else 'policies'} over {epochs} {'epoch' if epochs == 1 else 'epochs'}{steps}"
    )


def _title(timeline: Timeline, name: str) -> Iterator[Mark]:
    yield Words(name, LEFT, 26.0, "text", 16.0, bold=True)
    yield Words(length(timeline), LEFT, 46.0)


def _marks(timeline: Timeline, top: float, bottom: float) -> Iterator[Mark]:
    x = across(timeline.epochs)
    yield from axis(x, top - 8.0, "epochs")
    yield from verticals(x, top, bottom)
    yield from lanes(timeline, x, top)
    top += row_height(timeline) * len(timeline.lanes)
    for panel in panels(timeline):
        yield from chart(panel, timeline, x, top)
        top += height(panel, timeline)
    if panels(timeline):
        yield from axis(x, bottom + 20.0, "epochs")
