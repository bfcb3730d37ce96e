"""The tree between a recipe's source and its policies: plain values, each with its place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from prunus.recipes.faults import Place, Report, shown

DEPTH = 32
"""Deepest nesting; the deepest real recipe has 8 levels."""
NODES = 10_000
"""Largest number of values, those that aliases repeat included; 300 policies have about 4,000."""
LOST: Final = object()
"""Stands for the value of a node whose fault has been reported: a name of nothing, for instance."""


@dataclass(frozen=True)
class Node:
    """One value of a recipe: text, number, bool, None, list of nodes, or dict of pairs of nodes by key.

    ``size`` counts the values inside, ``height`` their levels; ``part`` is the family of a named part, else None, and
    ``used_at`` where its name stands.

    >>> Node("0.9", Place("recipe.yaml", 3, 5)).found, Node(True, Place("recipe.yaml", 3, 5)).found
    ("the text '0.9'", 'true')
    """

    value: Any
    place: Place
    size: int = field(default=1, compare=False, repr=False)
    height: int = field(default=0, compare=False, repr=False)
    part: type | None = field(default=None, compare=False, repr=False)
    used_at: Place | None = field(default=None, compare=False, repr=False)

    @property
    def found(self) -> str:
        """The value in the words of a message."""
        if isinstance(self.value, (dict, list)):
            return "a mapping" if isinstance(self.value, dict) else "a list"
        if isinstance(self.value, str):
            return f"the text {shown(self.value)}"
        words = {None: "empty", True: "true", False: "false"}
        plain = self.value is None or isinstance(self.value, bool)
        return words[self.value] if plain else shown_number(self.value)


class Pair(NamedTuple):
    """A key and its value, each with its place.

    >>> from_plain({"seed": 3}, Report()).value["seed"].value.value
    3
    """

    key: Node
    value: Node


def shown_number(value: object) -> str:
    """Return a number as written; of anything else a mapping may hold, its type.

    >>> shown_number(0.5), shown_number(object())
    ('0.5', 'an object of type object')
    """
    if isinstance(value, float):
        return repr(float(value))
    if isinstance(value, int):
        return repr(int(value)) if abs(value) < 10**40 else "a number of more than 40 digits"
    return f"an object of type {type(value).__name__}"


def listed(items: Iterable[Node], place: Place, report: Report) -> Node:
    """Return a list node, or stop as soon as it is too large.

    >>> report = Report()
    >>> listed([Node(1, Place()), Node(2, Place())], Place(), report).size
    3
    """
    found, size = [], 1
    for item in items:
        size = _require_room(size + item.size, place, report)
        found.append(item)
    return Node(found, place, size, 1 + max((item.height for item in found), default=0))


def mapped(pairs: Iterable[Pair], place: Place, report: Report) -> Node:
    """Return a mapping node; a key that is no text, or comes twice, is a fault; stop as soon as it is too large.

    >>> report = Report()
    >>> pair = Pair(Node("seed", Place()), Node(3, Place()))
    >>> _ = mapped([pair, pair], Place(), report)
    >>> [fault.code for fault in report.found]
    ['duplicate']
    """
    found: dict[str, Pair] = {}
    size = 1
    for pair in pairs:
        size = _require_room(size + pair.key.size + pair.value.size, place, report)
        name = pair.key.value
        if not isinstance(name, str):
            report.add(pair.key.place, f"a key is {pair.key.found}, expected a name", code="wrong-type")
        elif name not in found or report.again(pair.key.place, _again(name, found[name].key.place)):
            # What is empty has no place of its own: the parser would say the next line.
            found[name] = pair if pair.value.value is not None else Pair(pair.key, Node(None, pair.key.place))
    return Node(found, place, size, 1 + max((pair.value.height for pair in found.values()), default=0))


def from_plain(source: Any, report: Report, words: str = "recipe", depth: int = 0) -> Node:
    """Return the tree of a plain mapping; places are the keys that lead to a value.

    >>> from_plain({"version": 1}, Report()).value["version"].value
    Node(value=1, place=Place(file='', line=0, column=0, keys='version', by=''))
    """
    place = Place(keys=words)
    if depth > DEPTH:
        report.stop(place, f"nested more than {DEPTH} deep, as a mapping that contains itself is")
    if isinstance(source, Mapping):
        pairs = (_plain_pair(key, value, report, words, depth) for key, value in source.items())
        return mapped(pairs, place, report)
    if isinstance(source, (list, tuple)):
        items = (from_plain(item, report, f"{words}[{i}]", depth + 1) for i, item in enumerate(source))
        return listed(items, place, report)
    return Node(source, place)


def _plain_pair(key: Any, value: Any, report: Report, words: str, depth: int) -> Pair:
    below = f"{words}.{key}" if depth else str(key)
    return Pair(Node(key, Place(keys=below)), from_plain(value, report, below, depth + 1))


def _require_room(size: int, place: Place, report: Report) -> int:
    if size > NODES:
        report.stop(place, f"more than {NODES:,} values, those that aliases repeat included; split the recipe")
    return size


def _again(name: str, first: Place) -> str:
    return f"key {shown(name)} again; it is already in {_line(first)}"


def _line(place: Place) -> str:
    return f"line {place.line}" if place.line else str(place)
