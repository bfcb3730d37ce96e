"""The results of several runs as a table for the terminal."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from prunus.report import palette, words
from prunus.report.records import Report, RunRecord

COLUMNS = ("method", "asked", "achieved", "accuracy", "vs dense", "on disk", "smaller", "time")


def rows(report: Report) -> list[tuple[str, ...]]:
    """Return the cells of every run under COLUMNS, as text; the page and the terminal show the same ones.

    >>> from prunus.measure import Count
    >>> dense = RunRecord("dense", "dense", None, Count(0, 100), 0.98, 4000, 3.0)
    >>> pruned = RunRecord("pruned", "magnitude", 0.9, Count(90, 100), 0.97, 800, 3.5)
    >>> rows(Report("a net", "data.", "prunus demo", (dense, pruned)))[1]
    ('pruned', '90 %', '90.00 % (10 of 100 left)', '97.00 %', '−1.00', '800 B', '5.0×', '3.5 s')
    """
    return [_row(run, report) for run in report.runs]


def _row(run: RunRecord, report: Report) -> tuple[str, ...]:
    asked = "–" if run.asked is None else f"{100 * run.asked:g} %"
    dense = report.dense
    smaller = "–" if dense is None or run is dense else words.ratio(dense.size, run.size)
    figures = (words.percent(run.accuracy), words.difference(run, report), words.size(run.size), smaller)
    return (run.name, asked, str(run.count), *figures, words.duration(run.seconds))


def table(report: Report) -> Table:
    """Return the results as a rich table, one row a run, figures aligned right.

    >>> from prunus.measure import Count
    >>> report = Report("a net", "data.", "", (RunRecord("dense", "dense", None, Count(0, 100), 0.98, 4000, 3.0),))
    >>> table(report).row_count
    1
    """
    shown = Table(title=report.task, title_justify="left", title_style="bold", box=None, padding=(0, 2, 0, 0))
    shown.pad_edge = False
    for place, column in enumerate(COLUMNS):
        shown.add_column(column, justify="left" if place == 0 else "right", no_wrap=True, header_style="dim")
    colours = palette.colours(report)
    for run, cells in zip(report.runs, rows(report), strict=True):
        style = "bold" if run is report.best else ""
        name, *figures = (Text(cell, style) for cell in cells)
        shown.add_row(Text("■ ", colours[run.method][1]) + name, *figures)
    return shown
