"""The picture of a sensitivity scan: one line a parameter, the metric over the sparsity."""

from __future__ import annotations

import colorsys
import math
from pathlib import Path
from typing import Any

from prunus.errors import MissingExtraError
from prunus.measure import Sensitivity
from prunus.report.axes import Axis, Frame, chart
from prunus.report.svg import extent, spread, tag, text, title

FRAME = Frame(width=860, height=420, left=64, right=210)
STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#55504b}.label{font-size:13px}"
    ".grid{stroke:#e6e1da}.axis{stroke:#8c857d}.line{fill:none;stroke-width:1.8}.dense{stroke:#8c857d}"
)
LABELS = 24
"""So many lines get a name beside them; more would not be read."""


def scan_picture(scan: Sensitivity, path: str | Path, *, metric: str | None = None) -> Path:
    """Draw the metric of every target over its sparsity into ``path`` and return the path.

    Lines run from blue (first layers) to red (last ones); dotted is the dense model. ``.svg`` needs nothing else, other
    suffixes (``.png``, ``.pdf``) need matplotlib, or MissingExtraError names the extra. ``metric`` is the first one
    unless named.

    >>> import tempfile
    >>> from prunus.measure import Reading
    >>> scan = Sensitivity({"accuracy": 0.9}, (Reading("fc.weight", 0.5, 2, 4, 4, {"accuracy": 0.7}),))
    >>> scan_picture(scan, f"{tempfile.mkdtemp()}/scan.svg").read_text()[:4]
    '<svg'
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".svg":
        path.write_text(scan_svg(scan, metric), "utf-8")
    else:
        _draw(scan, path, scan.named(metric))
    return path


def scan_svg(scan: Sensitivity, metric: str | None = None) -> str:
    """Return the picture as one SVG that stands alone: no script, no font file, no other host.

    >>> from prunus.measure import Reading
    >>> scan = Sensitivity({"accuracy": 0.9}, (Reading("fc.weight", 0.5, 2, 4, 4, {"accuracy": 0.7}),))
    >>> scan_svg(scan).count("<path")
    1
    """
    name = scan.named(metric)
    lines = _lines(scan, name)
    x = Axis(FRAME.across(0.0, 100.0), "sparsity of that parameter alone (%)")
    y = Axis(FRAME.up(*extent([v for _, _, line in lines for _, v in line] + [scan.dense[name]])), name)
    height = y.scale(scan.dense[name])
    dense = tag(
        "line", x1=FRAME.plot[0], x2=FRAME.plot[2], y1=height, y2=height, class_="dense", stroke_dasharray="2 3"
    )
    inside = [dense, *(_path(*line, x, y) for line in lines)]
    drawn = chart(FRAME, x, y, inside, title=f"{name} over sparsity", name="scan", above=_names(lines, y))
    return drawn.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1).replace(
        ">", f"><style>{STYLE}</style>", 1
    )


Line = tuple[str, str, list[tuple[float, float]]]
"""Name, colour and places (sparsity in per cent, value) of one target."""


def _lines(scan: Sensitivity, metric: str) -> list[Line]:
    """Return the lines without what is no number: a diverged loss has no place in a picture."""
    targets = scan.targets
    curves = [[(100 * x, value) for x, value in scan.curve(one, metric) if math.isfinite(value)] for one in targets]
    return [(one, _colour(i, len(targets)), curves[i]) for i, one in enumerate(targets) if curves[i]]


def _colour(place: int, total: int) -> str:
    hue = 0.62 * (1 - place / max(1, total - 1))
    parts = colorsys.hls_to_rgb(hue, 0.42, 0.72)
    return "#" + "".join(f"{round(255 * part):02x}" for part in parts)


def _path(name: str, colour: str, line: list[tuple[float, float]], x: Axis, y: Axis) -> str:
    steps = " L".join(f"{x.scale(level):.1f} {y.scale(value):.1f}" for level, value in line)
    return tag("path", title(name), d=f"M{steps}", class_="line", stroke=colour)


def _names(lines: list[Line], y: Axis) -> str:
    if len(lines) > LABELS:
        return ""
    heights = spread([y.scale(line[-1][1]) for _, _, line in lines], gap=14)
    left = FRAME.plot[2] + 8
    named = zip(lines, heights, strict=True)
    return "".join(text(name, left, up + 4, style=f"fill:{colour}") for (name, colour, _), up in named)


def _draw(scan: Sensitivity, path: Path, metric: str) -> None:
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtraError(
            "the picture needs matplotlib: pip install 'prunus[report]'; a path that ends in .svg needs nothing"
        ) from None
    figure = Figure(figsize=(8, 4), dpi=150, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    axes: Any = figure.add_subplot()
    for name, colour, line in _lines(scan, metric):
        axes.plot(*zip(*line, strict=True), "-o", color=colour, markersize=3, linewidth=1.4, label=name)
    axes.axhline(scan.dense[metric], color="#8c857d", linewidth=0.8, linestyle=":")
    axes.set_xlabel("sparsity of that parameter alone (%)")
    axes.set_ylabel(metric)
    axes.grid(color="#e6e1da", linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    if len(scan.targets) <= LABELS:
        axes.legend(frameon=False, fontsize=8, ncols=1 + len(scan.targets) // 13)
    figure.savefig(path)
