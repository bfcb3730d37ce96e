"""What a drawing is made of, so that every format shows the same one: boxes, paths and words, in pixels."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Anchor = Literal["start", "middle", "end"]
WIDE = 0.58
"""Mean width of a letter, in units of its size: of the widest font that may be used."""


@dataclass(frozen=True)
class Box:
    """A rectangle: filled, or with a dashed outline; ``tip`` is shown when the pointer rests on it.

    >>> Box(0.0, 0.0, 10.0, 5.0, "prune").strength
    1.0
    """

    x: float
    y: float
    width: float
    height: float
    ink: str
    strength: float = 1.0
    dashed: bool = False
    tip: str = ""


@dataclass(frozen=True)
class Path:
    """A line through points.

    >>> Path(((0.0, 0.0), (5.0, 5.0)), "rule").width
    1.0
    """

    points: tuple[tuple[float, float], ...]
    ink: str
    width: float = 1.0
    strength: float = 1.0
    dash: tuple[float, float] | None = None
    tip: str = ""


@dataclass(frozen=True)
class Words:
    """A line of text, ``y`` its base line.

    >>> Words("epoch", 0.0, 10.0).size
    12.0
    """

    text: str
    x: float
    y: float
    ink: str = "soft"
    size: float = 12.0
    anchor: Anchor = "start"
    bold: bool = False
    tip: str = ""


Mark = Box | Path | Words


@dataclass(frozen=True)
class Drawing:
    """Marks on a sheet of so many pixels, the later ones above.

    >>> Drawing(100.0, 50.0, (), "nothing").marks
    ()
    """

    width: float
    height: float
    marks: tuple[Mark, ...]
    title: str


def fitted(text: str, room: float, size: float = 12.0) -> str:
    """Return the text, its end left out where it would be wider than ``room`` pixels.

    >>> fitted("features.module.10.weight", 140.0)
    'features.module.10.…'
    """
    most = max(3, int(room / (WIDE * size)))
    return text if len(text) <= most else f"{text[: most - 1]}…"


def parted(names: Iterable[str]) -> dict[str, str]:
    """Return names without the dotted parts with which all of them begin.

    >>> parted(["features.0.weight", "features.3.weight"])
    {'features.0.weight': '…0.weight', 'features.3.weight': '…3.weight'}
    """
    split = {name: name.split(".") for name in names}
    shared = 0
    if len(split) > 1:
        columns = zip(*split.values(), strict=False)
        shared = next((place for place, parts in enumerate(columns) if len(set(parts)) > 1), 0)
    return {name: "…" + ".".join(parts[shared:]) if shared else name for name, parts in split.items()}
