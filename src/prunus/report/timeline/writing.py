"""A timeline to a file, of the kind that its suffix says."""

from __future__ import annotations

from pathlib import Path

from prunus.errors import require_known
from prunus.recipes.timeline import Timeline
from prunus.report.timeline.page import html
from prunus.report.timeline.raster import picture
from prunus.report.timeline.sheet import drawing
from prunus.report.timeline.vector import svg

SUFFIXES = (".html", ".pdf", ".png", ".svg")


def timeline_picture(timeline: Timeline, path: str | Path, *, name: str = "timeline", dark: bool = False) -> Path:
    """Draw a timeline into ``path``, making its folder, and return the path.

    ``.svg`` needs nothing else and, like the ``.html`` page (jinja2), is light or dark as the reader's system asks;
    ``.png`` and ``.pdf`` need matplotlib and are light unless ``dark``. MissingExtraError names the extra; SettingError
    another suffix.

    >>> import tempfile
    >>> timeline_picture(Timeline((), 3), f"{tempfile.mkdtemp()}/deep/timeline.svg").read_text()[:4]
    '<svg'
    """
    path = Path(path)
    require_known("the suffix of the picture", path.suffix, SUFFIXES)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix in (".html", ".svg"):
        path.write_text(html(timeline, name) if path.suffix == ".html" else svg(drawing(timeline, name)), "utf-8")
    else:
        picture(drawing(timeline, name), path, dark=dark)
    return path
