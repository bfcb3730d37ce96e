"""A drawing as SVG, in light or dark as the reader's system asks."""

from __future__ import annotations

from prunus.report.svg import tag, text, title
from prunus.report.timeline.inks import INKS
from prunus.report.timeline.marks import Box, Drawing, Mark, Path, Words

FONT = 'system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,"DejaVu Sans",sans-serif'


def svg(drawing: Drawing, *, alone: bool = True) -> str:
    """Return one SVG without script, font file or other host; ``alone`` gives it a background and its namespace.

    >>> svg(Drawing(10.0, 10.0, (Words("a < b", 0.0, 9.0),), "nothing"))[:38]
    '<svg xmlns="http://www.w3.org/2000/svg'
    """
    space = {"xmlns": "http://www.w3.org/2000/svg"} if alone else {}
    sheet = tag("rect", width=drawing.width, height=drawing.height, class_="f-card") if alone else ""
    content = tag("style", style()) + sheet + "".join(map(_element, drawing.marks))
    view = f"0 0 {drawing.width:g} {drawing.height:g}"
    return tag("svg", content, **space, viewBox=view, role="img", aria_label=drawing.title, class_="timeline")


def style() -> str:
    """Return the style sheet: a class of fills and one of strokes for each ink.

    >>> "prefers-color-scheme:dark" in style()
    True
    """
    light, dark = ("".join(_rules(name, pair[place]) for name, pair in INKS.items()) for place in (0, 1))
    letters = f".timeline text{{font-family:{FONT};font-variant-numeric:tabular-nums}}"
    return f"{letters}{light}@media(prefers-color-scheme:dark){{{dark}}}"


def _rules(name: str, colour: str) -> str:
    return f".f-{name}{{fill:{colour}}}.s-{name}{{stroke:{colour};fill:none}}"


def _element(mark: Mark) -> str:
    if isinstance(mark, Words):
        return _words(mark)
    return _box(mark) if isinstance(mark, Box) else _path(mark)


def _words(mark: Words) -> str:
    weight = {"font_weight": 600} if mark.bold else {}
    anchor = {} if mark.anchor == "start" else {"text_anchor": mark.anchor}
    drawn = text(mark.text, mark.x, mark.y, f"f-{mark.ink}", font_size=mark.size, **anchor, **weight)
    return tag("g", title(mark.tip) + drawn) if mark.tip else drawn


def _box(mark: Box) -> str:
    tip = title(mark.tip) if mark.tip else ""
    place = {"x": mark.x, "y": mark.y, "width": mark.width, "height": mark.height}
    shade = {} if mark.strength == 1.0 else {"opacity": mark.strength}
    if mark.dashed:
        return tag("rect", tip, **place, class_=f"s-{mark.ink}", stroke_dasharray="4 3", **shade)
    return tag("rect", tip, **place, rx=1.2, class_=f"f-{mark.ink}", **shade)


def _path(mark: Path) -> str:
    steps = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in mark.points)
    dash = {} if mark.dash is None else {"stroke_dasharray": " ".join(f"{part:g}" for part in mark.dash)}
    shade = {} if mark.strength == 1.0 else {"opacity": mark.strength}
    tip = title(mark.tip) if mark.tip else ""
    return tag(
        "path", tip, d=steps, class_=f"s-{mark.ink}", stroke_width=mark.width, stroke_linejoin="round", **dash, **shade
    )
