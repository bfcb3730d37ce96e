"""How the sparsity is shared among the layers: one group of bars a layer, one bar a run."""

from __future__ import annotations

from prunus.report.axes import Axis, Frame, chart
from prunus.report.records import Report, RunRecord
from prunus.report.svg import tag, text, title

BAR, GAP, HEADING = 17, 4, 30


def layers(report: Report, asked: float | None) -> str:
    """Return the bars of sparsity per layer for the runs that were asked for ``asked``; empty when none has layers.

    >>> from prunus.measure import Count, Row
    >>> row = Row("fc.weight", (2, 2), Count(3, 4), 0)
    >>> run = RunRecord("a", "a", 0.75, Count(3, 4), 1.0, 1, 1.0, layers=(row,))
    >>> "75.0 % · 1 left" in layers(Report("", "", "", (run,)), 0.75)
    True
    """
    runs = [run for run in report.runs if run.asked == asked and run.layers]
    if not runs:
        return ""
    block = HEADING + len(runs) * (BAR + GAP)
    names = [row.name for row in runs[0].layers]
    frame = Frame(height=24 + len(names) * block + 40, left=14, right=150, top=4, bottom=44)
    x = Axis(frame.across(0, 100), "sparsity (%)")
    drawn = [_layer(rank, runs, frame.plot[1] + rank * block, x, report) for rank in range(len(names))]
    y = Axis(frame.up(0, 1), "", lambda _: "", ticks=1)
    level = "" if asked is None else f" at {100 * asked:g} %"
    name = f"layers-{report.runs.index(runs[0])}"
    return chart(frame, x, y, [], title=f"sparsity of every layer{level}", name=name, above="".join(drawn))


def _layer(rank: int, runs: list[RunRecord], top: float, x: Axis, report: Report) -> str:
    row = runs[0].layers[rank]
    shape = " × ".join(map(str, row.shape))
    drawn = [text(row.name.removesuffix(".weight"), x.scale(0), top + 20, "name")]
    drawn += [text(f"{shape} = {row.count.total:,} weights", x.scale(100), top + 20, "tick", text_anchor="end")]
    for place, run in enumerate(runs):
        drawn.append(_bar(run, rank, top + HEADING + place * (BAR + GAP), x, report.runs.index(run)))
    return "".join(drawn)


def _bar(run: RunRecord, rank: int, top: float, x: Axis, place: int) -> str:
    row = run.layers[rank]
    share = 100 * row.count.sparsity
    start, end = x.scale(0), x.scale(share)
    track = tag("rect", x=start, y=top, width=x.scale(100) - start, height=BAR, class_="track")
    name = title(f"{run.name}, {row.name}: {row.count}, {row.empty_rows} output rows empty")
    bar = tag("rect", name, x=start, y=top, width=max(end - start, 0.5), height=BAR, class_=f"bar series r{place}")
    return track + bar + text(f"{share:.1f} % · {row.count.kept:,} left", x.scale(100) + 8, top + 13, "tick")
