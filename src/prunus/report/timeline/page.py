"""A timeline as one self-contained HTML page: the picture and the table, in light or dark."""

from __future__ import annotations

from importlib import resources

from prunus.errors import MissingExtraError
from prunus.recipes.timeline import Timeline
from prunus.report.timeline.sheet import drawing, length
from prunus.report.timeline.vector import svg


def html(timeline: Timeline, name: str = "timeline") -> str:
    """Return the page; it has no script and asks no other host. MissingExtraError when jinja2 is not installed.

    >>> html(Timeline((), 3), "recipe.yaml")[:15]
    '<!doctype html>'
    """
    try:
        import jinja2
    except ImportError:
        raise MissingExtraError("the page needs jinja2: pip install 'prunus[report]'; .svg needs nothing") from None
    folder = resources.files("prunus.report")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(folder.joinpath("timeline/page.html.jinja").read_text("utf-8"))
    return template.render(
        timeline=timeline,
        name=name,
        length=length(timeline),
        picture=svg(drawing(timeline, name, titled=False), alone=False),
        style=folder.joinpath("page.css").read_text("utf-8"),
    )
