"""A drawing as PNG, or whatever else matplotlib writes."""

from __future__ import annotations

from pathlib import Path as File
from typing import Any

from prunus.errors import MissingExtraError
from prunus.report.timeline.inks import INKS
from prunus.report.timeline.marks import Box, Drawing, Mark, Words

DOTS = 160.0
PIXELS = 100.0
"""Pixels of the drawing in an inch."""


def picture(drawing: Drawing, path: File, *, dark: bool = False) -> None:
    """Write the drawing; the suffix of the path says as what. MissingExtraError without matplotlib.

    >>> import tempfile
    >>> path = File(tempfile.mkdtemp()) / "nothing.png"
    >>> picture(Drawing(10.0, 10.0, (), "nothing"), path)
    >>> path.read_bytes()[1:4]
    b'PNG'
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtraError(
            "the picture needs matplotlib: pip install 'prunus[report]'; .svg needs nothing"
        ) from None
    size = drawing.width / PIXELS, drawing.height / PIXELS
    figure = Figure(figsize=size, dpi=DOTS, facecolor=_colour("card", dark))
    FigureCanvasAgg(figure)
    axes: Any = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_xlim(0.0, drawing.width)
    axes.set_ylim(drawing.height, 0.0)
    axes.axis("off")
    for level, mark in enumerate(drawing.marks):
        _draw(axes, mark, dark, level)
    figure.savefig(path, facecolor=figure.get_facecolor())


def _draw(axes: Any, mark: Mark, dark: bool, level: int) -> None:
    points = 72.0 / PIXELS
    look = {"color": _colour(mark.ink, dark), "zorder": level}
    if isinstance(mark, Words):
        place = {"start": "left", "middle": "center", "end": "right"}[mark.anchor]
        weight = "bold" if mark.bold else "normal"
        # DejaVu Sans is wider than the fonts of a page
        axes.text(mark.x, mark.y, mark.text, ha=place, size=0.9 * mark.size * points, weight=weight, **look)
    elif isinstance(mark, Box):
        _box(axes, mark, look)
    else:
        dash = (0.0, tuple(part * points for part in mark.dash)) if mark.dash else "-"
        axes.plot(*zip(*mark.points, strict=True), lw=mark.width * points, ls=dash, alpha=mark.strength, **look)


def _box(axes: Any, mark: Box, look: dict[str, Any]) -> None:
    from matplotlib.patches import Rectangle

    kind: dict[str, Any] = {"fill": False, "ls": (0, (4, 3)), "lw": 0.72} if mark.dashed else {"lw": 0}
    axes.add_patch(Rectangle((mark.x, mark.y), mark.width, mark.height, alpha=mark.strength, **kind, **look))


def _colour(ink: str, dark: bool) -> str:
    return INKS[ink][dark]
