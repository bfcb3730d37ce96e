"""Inline SVG by hand: tags, scales and ticks. Colours come from the page's style sheet through classes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape

from prunus.errors import SettingError


def tag(name: str, content: str = "", **attributes: object) -> str:
    """Return one SVG element; in attribute names ``_`` becomes ``-``, a last one is dropped; content is not escaped.

    >>> tag("line", x1=0.0, stroke_width=2, class_="grid")
    '<line x1="0" stroke-width="2" class="grid"/>'
    """
    written = "".join(f' {key.rstrip("_").replace("_", "-")}="{_value(value)}"' for key, value in attributes.items())
    return f"<{name}{written}>{content}</{name}>" if content else f"<{name}{written}/>"


def text(words: str, x: float, y: float, class_: str = "tick", **attributes: object) -> str:
    """Return a text element with its words escaped.

    >>> text("a < b", 1, 2)
    '<text x="1" y="2" class="tick">a &lt; b</text>'
    """
    return tag("text", escape(words), x=x, y=y, class_=class_, **attributes)


def title(words: str) -> str:
    """Return the element that browsers show when the pointer rests on its parent, words escaped.

    >>> title("a < b")
    '<title>a &lt; b</title>'
    """
    return tag("title", escape(words))


def _value(value: object) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else escape(str(value))


@dataclass(frozen=True)
class Scale:
    """Map figures between ``low`` and ``high`` to pixels between ``start`` and ``end``, linearly or by their logarithm.

    Parameters: ``low`` < ``high`` (both > 0 for ``log``), ``start`` and ``end`` in pixels (SVG's y grows downwards).

    Raises SettingError for an empty range or a logarithm of what is not positive.

    >>> Scale(0, 10, 100, 200)(5), Scale(1, 100, 0, 10, log=True)(10)
    (150.0, 5.0)
    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __post_init__(self) -> None:
        if not self.low < self.high or (self.log and self.low <= 0):
            kind = "logarithmic " if self.log else ""
            raise SettingError(f"a {kind}scale from {self.low} to {self.high} has no extent")

    def __call__(self, value: float) -> float:
        """Return the place of ``value`` in pixels, also outside the range; on log scales from low / 1000 on."""
        low, high, place = self.low, self.high, value
        if self.log:
            low, high, place = math.log(low), math.log(high), math.log(max(value, self.low / 1000))
        return self.start + (place - low) / (high - low) * (self.end - self.start)

    def ticks(self, count: int = 5) -> list[float]:
        """Return about ``count`` round figures inside the range.

        >>> Scale(0, 1, 0, 1).ticks(), Scale(0.02, 30, 0, 1, log=True).ticks()
        ([0.0, 0.2, 0.4, 0.6, 0.8, 1.0], [0.1, 1.0, 10.0])
        """
        if not self.log or self.high / self.low < 3:
            return self._steps(count)
        return self._powers((1, 2, 5) if self.high / self.low < 300 else (1,))

    def _steps(self, count: int) -> list[float]:
        rough = (self.high - self.low) / count
        unit = 10.0 ** math.floor(math.log10(rough))
        step = unit * min((1, 2, 5, 10), key=lambda factor: abs(factor * unit - rough))
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [round(place * step, 10) for place in range(first, last + 1)]

    def _powers(self, factors: tuple[int, ...]) -> list[float]:
        powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        figures = [factor * 10.0**power for power in powers for factor in factors]
        return [figure for figure in figures if self.low * (1 - 1e-9) <= figure <= self.high * (1 + 1e-9)]


def extent(values: list[float], pad: float = 0.05) -> tuple[float, float]:
    """Return a range that holds ``values`` with a margin of ``pad`` of its length, never empty.

    >>> extent([0.0, 1.0], pad=0.1), extent([2.0])
    ((-0.1, 1.1), (1.9, 2.1))
    """
    low, high = min(values), max(values)
    margin = pad * (high - low) or abs(low) * pad or pad
    return low - margin, high + margin


def spread(places: list[float], gap: float) -> list[float]:
    """Return the places pushed apart until neighbours are ``gap`` apart, order and centre kept, for labels.

    >>> spread([10.0, 11.0, 40.0], gap=10)
    [5.5, 15.5, 40.0]
    """
    order = sorted(range(len(places)), key=places.__getitem__)
    groups: list[list[int]] = []
    for place in order:
        groups.append([place])
        while len(groups) > 1 and _top(groups[-1], places, gap) < _top(groups[-2], places, gap) + gap * len(groups[-2]):
            groups[-2:] = [groups[-2] + groups[-1]]
    moved = list(places)
    for group in groups:
        for rank, place in enumerate(group):
            moved[place] = _top(group, places, gap) + rank * gap
    return moved


def _top(group: list[int], places: list[float], gap: float) -> float:
    return sum(places[place] for place in group) / len(group) - gap * (len(group) - 1) / 2
