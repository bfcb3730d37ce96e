"""Templates filled in: pages of HTML in the one style, each a file that asks for no other."""

from __future__ import annotations

from importlib import resources

from prunus.errors import MissingExtraError


def filled(template: str, lacking: str, **content: object) -> str:
    """Return a template of this folder filled in; what it is given is escaped, unless the template calls it safe.

    Args:
        template: its path below this folder; it may use ``style``, the style sheet.
        lacking: what MissingExtraError says when jinja2 is not installed.
        content: what its names stand for. One that it uses and is not given is an error.

    >>> filled("page.html.jinja", "the report needs jinja2")
    Traceback (most recent call last):
        ...
    jinja2.exceptions.UndefinedError: ...
    """
    try:
        import jinja2
    except ImportError:
        raise MissingExtraError(lacking) from None
    folder = resources.files("prunus.report")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    style = folder.joinpath("page.css").read_text("utf-8")
    return environment.from_string(folder.joinpath(template).read_text("utf-8")).render(style=style, **content)
