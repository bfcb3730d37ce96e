"""The frame of a chart: grid, ticks, axis labels and the box that clips what is drawn inside."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from html import escape

from prunus.report.svg import Scale, tag, text

Formatter = Callable[[float], str]
"""Turns a tick's figure into its label."""


@dataclass(frozen=True)
class Frame:
    """A chart's size in pixels and the margins left for its labels.

    >>> Frame(400, 300).plot
    (58, 14, 386, 254)
    """

    width: int = 520
    height: int = 300
    left: int = 58
    top: int = 14
    right: int = 14
    bottom: int = 46

    @property
    def plot(self) -> tuple[int, int, int, int]:
        """Left, top, right and bottom of the area inside the axes."""
        return self.left, self.top, self.width - self.right, self.height - self.bottom

    def across(self, low: float, high: float, log: bool = False) -> Scale:
        """Return the horizontal scale of the plot area."""
        return Scale(low, high, self.plot[0], self.plot[2], log)

    def up(self, low: float, high: float, log: bool = False) -> Scale:
        """Return the vertical scale of the plot area, larger figures higher."""
        return Scale(low, high, self.plot[3], self.plot[1], log)


@dataclass(frozen=True)
class Axis:
    """One axis: its scale, its label, how its ticks are written and about how many there are.

    >>> Axis(Scale(0, 10, 0, 100), "epoch", ticks=2).places
    [0.0, 5.0, 10.0]
    """

    scale: Scale
    label: str
    write: Formatter = "{:g}".format
    ticks: int = 5

    @property
    def places(self) -> list[float]:
        """The figures that get a tick."""
        return self.scale.ticks(self.ticks)


def chart(frame: Frame, x: Axis, y: Axis, inside: Iterable[str], *, title: str, name: str, above: str = "") -> str:
    """Return a whole chart as one ``<svg>``: grid and ticks, then ``inside`` clipped to the plot area, then ``above``.

    ``title`` is read out by screen readers, ``name`` must be unique on the page (it names the clipping box).

    >>> frame = Frame()
    >>> chart(frame, Axis(frame.across(0, 1), "x"), Axis(frame.up(0, 1), "y"), [], title="empty", name="none")[:46]
    '<svg viewBox="0 0 520 300" role="img" aria-lab'
    """
    left, top, right, bottom = frame.plot
    box = tag("rect", x=left, y=top, width=right - left, height=bottom - top)
    clip = tag("defs", tag("clipPath", box, id=f"clip-{name}"))
    drawn = tag("g", "".join(inside) or " ", clip_path=f"url(#clip-{name})")
    content = clip + _grid(frame, x, y) + drawn + above
    view = f"0 0 {frame.width} {frame.height}"
    return tag("svg", content, viewBox=view, role="img", aria_label=title, class_="chart")


def _grid(frame: Frame, x: Axis, y: Axis) -> str:
    left, top, right, bottom = frame.plot
    parts = [tag("line", x1=left, x2=right, y1=y.scale(v), y2=y.scale(v), class_="grid") for v in y.places]
    parts += [text(y.write(v), left - 8, y.scale(v) + 4, text_anchor="end") for v in y.places]
    parts += [text(x.write(v), x.scale(v), bottom + 18, text_anchor="middle") for v in x.places]
    parts.append(tag("line", x1=left, x2=right, y1=bottom, y2=bottom, class_="axis"))
    parts.append(text(x.label, (left + right) / 2, frame.height - 6, "label", text_anchor="middle"))
    if y.label:
        turned = f"translate(13 {(top + bottom) / 2:g}) rotate(-90)"
        parts.append(tag("text", escape(y.label), transform=turned, class_="label", text_anchor="middle"))
    return "".join(parts)
