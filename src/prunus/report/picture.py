"""The picture for a README: accuracy against the weights that are left, as a small PNG."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prunus.errors import MissingExtraError
from prunus.report import palette, words
from prunus.report.records import Report, RunRecord


def picture(report: Report, path: str | Path) -> Path:
    """Draw accuracy against size on disk as a PNG of about 1200 by 560 pixels at ``path``, and return the path.

    Colours are those of the page. MissingExtraError when matplotlib is not installed.

    >>> import tempfile
    >>> from prunus.measure import Count
    >>> run = RunRecord("dense", "dense", None, Count(0, 100), 0.98, 4000, 3.0)
    >>> picture(Report("a net", "data.", "", (run,)), f"{tempfile.mkdtemp()}/demo.png").read_bytes()[1:4]
    b'PNG'
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtraError("the picture needs matplotlib: pip install 'prunus[report]'") from None
    figure = Figure(figsize=(8, 3.7), dpi=150, facecolor="white", layout="constrained")
    _draw(figure.add_subplot(), report)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    FigureCanvasAgg(figure)
    figure.savefig(path)
    return path


def _draw(axes: Any, report: Report) -> None:
    colours = palette.colours(report)
    for method in colours:
        runs = sorted((run for run in report.runs if run.method == method), key=lambda run: run.size)
        places = [run.size for run in runs], [100 * run.accuracy for run in runs]
        axes.plot(*places, "-o", color=colours[method][0], markersize=8, linewidth=1.6, label=_label(runs))
    if report.dense is not None:
        axes.axhline(100 * report.dense.accuracy, color=colours[report.dense.method][0], linewidth=0.8, linestyle=":")
    for level in dict.fromkeys(run.asked for run in report.runs if run.asked is not None):
        sizes = [run.size for run in report.runs if run.asked == level]
        place = {"xy": (sum(sizes) / len(sizes), 0.02), "xycoords": ("data", "axes fraction")}
        axes.annotate(f"{100 * level:g} % zero", **place, ha="center", color="#6a655f", fontsize=9)
    axes.margins(x=0.09, y=0.16)
    _label_axes(axes, report)


def _label(runs: list[RunRecord]) -> str:
    """The words that the names of one method's runs share."""
    shared = [word for word in runs[0].name.split() if all(word in run.name.split() for run in runs)]
    return " ".join(shared).rstrip(" ,·%") or runs[0].method


def _label_axes(axes: Any, report: Report) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: words.round_size(value)))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("size on disk")
    axes.set_ylabel("test accuracy (%)")
    axes.set_title(f"{report.task}: {words.headline(report)}", loc="left", fontsize=11)
    axes.grid(color="#e6e1da", linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower right")
