"""One colour a method, the same in every table and chart, for a light and a dark page."""

from __future__ import annotations

from prunus.report.records import Report, RunRecord

COLOURS: dict[str, tuple[str, str]] = {
    "budget": ("#a3195b", "#ff7ab8"),
    "dense": ("#6b7280", "#a8b0bd"),
    "feedback": ("#2458c5", "#82aaff"),
    "magnitude": ("#c26a00", "#ffb454"),
}
SPARE = (("#0f7b6c", "#5fd4c0"), ("#6d4bc3", "#b9a2ff"), ("#4d7c0f", "#a3d65c"), ("#9f1d1d", "#ff9b9b"))
DASHES = ("none", "7 4", "2 3", "9 3 2 3")


def colours(report: Report) -> dict[str, tuple[str, str]]:
    """Return (light, dark) for every method of the report; methods without a colour of their own take spare ones.

    >>> from prunus.measure import Count
    >>> run = RunRecord("own", "own", None, Count(0, 1), 1.0, 1, 1.0)
    >>> colours(Report("", "", "", (run,)))
    {'own': ('#0f7b6c', '#5fd4c0')}
    """
    unknown = [method for method in dict.fromkeys(run.method for run in report.runs) if method not in COLOURS]
    spare = {method: SPARE[place % len(SPARE)] for place, method in enumerate(unknown)}
    return {run.method: COLOURS.get(run.method) or spare[run.method] for run in report.runs}


def dash(run: RunRecord, report: Report) -> str:
    """Return the stroke pattern of a run: solid for the highest asked sparsity and dense runs, dashed below.

    >>> from prunus.measure import Count
    >>> runs = [RunRecord("", "own", asked, Count(0, 1), 1.0, 1, 1.0) for asked in (None, 0.9, 0.98)]
    >>> [dash(run, Report("", "", "", tuple(runs))) for run in runs]
    ['none', '7 4', 'none']
    """
    levels = sorted({other.asked for other in report.runs if other.asked is not None}, reverse=True)
    return DASHES[levels.index(run.asked) % len(DASHES)] if run.asked is not None else DASHES[0]
