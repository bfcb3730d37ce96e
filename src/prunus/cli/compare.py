"""``prunus compare``: one table over several runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from prunus.tasks.experiment import Outcome

WIDTH = 160
"""Columns of a table that goes to a file or a pipe."""
FIRST, LAST = ("run", "runs", "zeros", "weights left"), ("on disk", "smaller", "time")
SHARES = ("accuracy", "eer")
"""Metrics that are read as percentages."""

FoldersArgument = Annotated[list[Path], typer.Argument(help="Folders of runs, or folders above them.")]
EachOption = Annotated[bool, typer.Option("--each", help="One row a run, instead of mean ± deviation of a name.")]
TagOption = Annotated[str | None, typer.Option("--tag", help="Only runs with this tag.")]


def compare(folders: FoldersArgument, each: EachOption = False, tag: TagOption = None) -> None:
    """Compare finished runs of ``prunus train``: test metrics, zeros, bytes and time; equal names are averaged."""
    from prunus.errors import SettingError
    from prunus.tasks.experiment import outcomes

    found = [one for one in outcomes(folders) if tag is None or tag in one.tags]
    if not found:
        raise SettingError(f"no run has the tag {tag!r}")
    show(found, each=each)


def show(found: Sequence[Outcome], *, each: bool = False, console: Console | None = None) -> None:
    """Print the table of outcomes."""
    console = console or _console()
    console.print()
    console.print(table(found, each=each))


def table(found: Sequence[Outcome], *, each: bool = False) -> Table:
    """Return one row a name, figures as mean ± standard deviation over its runs, or one row a run.

    >>> from prunus.tasks.experiment import Outcome
    >>> runs = [Outcome("dense", seed, {"test/eer": 0.05 + seed / 100}, 0, 8, 32, 32) for seed in (0, 1)]
    >>> shown = table(runs)
    >>> shown.row_count, list(shown.columns[4].cells)
    (1, ['5.50 % ± 0.71'])
    """
    metrics = [name for name in dict.fromkeys(name for one in found for name in one.metrics) if not _is_end(name)]
    drawn = Table(box=None, pad_edge=False)
    for name in (*FIRST, *(metric.removeprefix("test/") for metric in metrics), *LAST):
        drawn.add_column(name, justify="left" if name == FIRST[0] else "right", no_wrap=True)
    for name, runs in _rows(found, each):
        drawn.add_row(name, *_cells(runs, metrics))
    return drawn


def _console() -> Console:
    console = Console()
    return console if console.is_terminal else Console(width=WIDTH)


def _rows(found: Sequence[Outcome], each: bool) -> list[tuple[str, list[Outcome]]]:
    if each:
        return [(f"{one.name} {one.folder}".strip(), [one]) for one in found]
    return [(name, [one for one in found if one.name == name]) for name in dict.fromkeys(one.name for one in found)]


def _cells(runs: Sequence[Outcome], metrics: Sequence[str]) -> list[str]:
    from prunus.report import words

    size, dense = round(mean(one.size for one in runs)), round(mean(one.dense_size for one in runs))
    zeros = _share([one.count.sparsity for one in runs])
    left = f"{round(mean(one.count.kept for one in runs)):,}"
    judged = [_figure(metric, runs) for metric in metrics]
    smaller = words.ratio(dense, size) if size and dense else "–"
    return [str(len(runs)), zeros, left, *judged, words.size(size), smaller, _time(runs)]


def _is_end(metric: str) -> bool:
    """Whether a metric is an end of another one's interval."""
    return metric.endswith(("_low", "_high"))


def _figure(metric: str, runs: Sequence[Outcome]) -> str:
    """The mean over runs; of a single run the interval that it was logged with."""
    values = [one.metrics[metric] for one in runs if metric in one.metrics]
    if not values:
        return "–"
    share = metric.removeprefix("test/") in SHARES
    worth, digits, unit = (100, 2, " %") if share else (1, 4, "")
    shown = f"{worth * mean(values):.{digits}f}{unit}"
    ends = [runs[0].metrics.get(f"{metric}_{end}") for end in ("low", "high")]
    if len(runs) == 1 and None not in ends:
        return f"{shown} ({'–'.join(f'{worth * end:.{digits}f}' for end in ends if end is not None)})"
    return shown + (f" ± {worth * stdev(values):.{digits}f}" if len(set(values)) > 1 else "")


def _share(values: Sequence[float]) -> str:
    return f"{100 * mean(values):.2f} %" + (f" ± {100 * stdev(values):.2f}" if len(set(values)) > 1 else "")


def _time(runs: Sequence[Outcome]) -> str:
    from prunus.report import words

    return words.duration(mean(one.seconds for one in runs))
