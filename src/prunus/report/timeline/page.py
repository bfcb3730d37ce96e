"""A timeline as one self-contained HTML page: the picture and the table, in light or dark."""

from __future__ import annotations

from prunus.recipes.timeline import Timeline
from prunus.report.filled import filled
from prunus.report.timeline.sheet import drawing, length
from prunus.report.timeline.vector import svg


def html(timeline: Timeline, name: str = "timeline") -> str:
    """Return the page; it has no script and asks no other host. MissingExtraError when jinja2 is not installed.

    >>> html(Timeline((), 3), "recipe.yaml")[:15]
    '<!doctype html>'
    """
    return filled(
        "timeline/page.html.jinja",
        "the page needs jinja2: pip install 'prunus[report]'; .svg needs nothing",
        timeline=timeline,
        name=name,
        length=length(timeline),
        picture=svg(drawing(timeline, name, titled=False), alone=False),
    )
