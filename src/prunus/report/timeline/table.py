"""A timeline for the terminal: a table of the policies, and a row of blocks for each over the run."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from prunus.recipes.timeline import Lane, Timeline
from prunus.recipes.timeline.words import names, number, rise
from prunus.report.timeline.blocks import LEGEND, blocks, ruler
from prunus.report.timeline.inks import INKS
from prunus.report.timeline.sheet import length

COLUMNS = ("", "policy", "does", "when", "times", "on")
TITLES, MARGIN, LEAST = 22, 6, 20
"""Columns of a name in the chart, of the number and the gap beside it, and of the run at least."""


def shown(timeline: Timeline, name: str = "timeline", width: int = 80) -> Group:
    """Return what a terminal of so many columns shows.

    >>> from rich.console import Console
    >>> Console(width=40).print(shown(Timeline((), 3), "recipe.yaml", 40))  # doctest: +ELLIPSIS
    recipe.yaml: 0 policies over 3 epochs
    ...
    """
    title = Text(f"{name}: ", "bold").append(length(timeline), "default")
    parts: list[RenderableType] = [title, *alarms(timeline), Text(), policies(timeline), Text()]
    parts += [targets(timeline), Text()] if targets(timeline).row_count else []
    return Group(*parts, *chart(timeline, width))


def alarms(timeline: Timeline) -> Iterator[Text]:
    """Yield a line for each policy with which something is wrong.

    >>> lane = Lane("Prune", "", "prune", "", "epoch", (), (9.0, 9.0), warning="never acts: begins with epoch 9")
    >>> [str(line) for line in alarms(Timeline((lane,), 3))]
    ['✕ policy 1, Prune, never acts: begins with epoch 9']
    """
    for place, lane in enumerate(timeline.lanes, 1):
        if lane.warning:
            sign, style = ("!", "bold yellow") if lane.acts else ("✕", "bold red")
            yield Text(f"{sign} policy {place}, {lane.title}, {lane.warning}", style)


def policies(timeline: Timeline) -> Table:
    """Return the table of the policies.

    >>> policies(Timeline((), 3)).row_count
    0
    """
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in COLUMNS:
        right = column in ("", "times")
        table.add_column(column, justify="right" if right else "left", no_wrap=right, header_style="dim")
    for place, lane in enumerate(timeline.lanes, 1):
        style = "" if lane.acts else "red"
        cells = (lane.words, lane.window, f"{len(lane.events):,}", names(lane.targets))
        table.add_row(str(place), Text(lane.title, _ink(lane)), *cells, style=style)
    return table


def targets(timeline: Timeline) -> Table:
    """Return what is asked of each target by the policies that do not ask the same of all.

    >>> targets(Timeline((), 3)).row_count
    0
    """
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in ("policy", "asks", "of"):
        table.add_column(column, header_style="dim", justify="right" if column == "policy" else "left")
    for place, lane in enumerate(timeline.lanes, 1):
        for curve in lane.curves if lane.acts and len(lane.curves) > 1 else ():
            first, last = curve.values[0], curve.values[-1]
            asked = rise(first, last) if curve.quantity == "sparsity" else f"λ {number(last)}"
            table.add_row(str(place), asked, ", ".join(curve.targets))
    return table


def chart(timeline: Timeline, width: int = 80) -> Iterator[Text]:
    """Yield the lines of the chart, none wider than ``width``.

    >>> [len(line) <= 50 for line in chart(Timeline((), 3), 50)]
    [True, True]
    """
    room = max(LEAST, width - TITLES - MARGIN)
    yield Text(" " * (TITLES + MARGIN - 1)).append(ruler(timeline, room), "dim")
    for place, lane in enumerate(timeline.lanes, 1):
        line = Text(f"{place:>3} ", "dim").append(f"{_cut(lane.title):<{TITLES}} ", f"bold {_ink(lane)}")
        drawn, end = blocks(lane, timeline, room), ceil(room * lane.span[1] / timeline.epochs)
        acting = line.append(drawn[:end], _ink(lane)).append(drawn[end:], f"dim {_ink(lane)}") if lane.acts else None
        yield acting or line.append(lane.warning[:room], "bold red")
    yield Text(LEGEND[: max(width, 40)], "dim")


def _cut(title: str) -> str:
    return title if len(title) <= TITLES else f"{title[: TITLES - 1]}…"


def _ink(lane: Lane) -> str:
    return INKS[lane.kind][1] if lane.acts else "red"
