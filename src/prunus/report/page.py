"""One self-contained HTML page: style, charts and text in one file that asks the network for nothing."""

from __future__ import annotations

from pathlib import Path

from prunus.report import bars, curves, histograms, palette, scatter, table, words
from prunus.report.filled import filled
from prunus.report.records import Report


def html(report: Report) -> str:
    """Return the page of a report as HTML text.

    Every chart is inline SVG coloured by the page's own style sheet, in light or dark as the reader's system asks;
    there is no script, no font file and no link to another host. MissingExtraError when jinja2 is not installed.

    >>> from prunus.measure import Count
    >>> from prunus.report.records import RunRecord
    >>> run = RunRecord("dense", "dense", None, Count(0, 100), 0.98, 4000, 3.0)
    >>> html(Report("a net on data", "100 images.", "prunus demo", (run,)))[:15]
    '<!doctype html>'
    """
    lacking = "the report needs jinja2: pip install 'prunus[report]'"
    names = {"report": report, "words": words, "COLUMNS": table.COLUMNS}
    return filled("page.html.jinja", lacking, **names, **_content(report))


def write(report: Report, path: str | Path) -> Path:
    """Write the page of a report to ``path``, making its folder, and return the path.

    >>> import tempfile
    >>> from prunus.measure import Count
    >>> from prunus.report.records import RunRecord
    >>> run = RunRecord("dense", "dense", None, Count(0, 100), 0.98, 4000, 3.0)
    >>> write(Report("a net", "data.", "prunus demo", (run,)), f"{tempfile.mkdtemp()}/new/report.html").name
    'report.html'
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(html(report), "utf-8")
    return path


def _content(report: Report) -> dict[str, object]:
    levels = list(dict.fromkeys(run.asked for run in report.runs if run.asked is not None))
    readings = {"Sparsity": curves.sparsity, "Strength of the regularizer": curves.strength}
    readings |= {"Training loss": curves.loss, "Test accuracy": curves.accuracy}
    colours = palette.colours(report)
    return {
        "rows": table.rows(report),
        "colours": [colours[run.method] for run in report.runs],
        "dashes": [palette.dash(run, report) for run in report.runs],
        "picture": scatter.accuracy_by_size(report),
        "curves": {name: draw(report) for name, draw in readings.items() if draw(report)},
        "layers": {level: bars.layers(report, level) for level in levels if bars.layers(report, level)},
        "histograms": [(run, histograms.weights(report, run)) for run in report.runs if run.asked and run.histogram],
    }
