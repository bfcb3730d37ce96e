"""``$name`` in a recipe: the value of a variable, or a part that has a name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from prunus.recipes.faults import Place, Report, shown
from prunus.recipes.kinds import article, noun
from prunus.recipes.nodes import DEPTH, LOST, Node, Pair, from_plain
from prunus.recipes.sections import NAME, VARIABLES, Definition, Document

REFERENCE = re.compile(rf"\$(?:({NAME.pattern})|\{{({NAME.pattern})\}})")


def escaped(text: str) -> str:
    """Return how a recipe writes a text that is to stay as it is: every dollar sign twice.

    >>> escaped("cost$")
    'cost$$'
    """
    return text.replace("$", "$$")


def override(document: Document, values: Mapping[str, Any], report: Report) -> None:
    """Put values from outside in the place of the recipe's variables; each is of the kind that it replaces.

    >>> report = Report()
    >>> override(Document(), {"final": 0.9}, report)
    >>> report.found[0].message
    "unknown variable 'final'"
    """
    known = {name: one for name, one in document.definitions.items() if one.section == VARIABLES}
    for name, value in values.items():
        place = Place(keys=f"variables.{name}")
        if name not in known:
            report.unknown(place, f"unknown variable {shown(name)}", str(name), known, values)
            continue
        node = from_plain(value, report, place.keys, depth=1)
        default = known[name].node
        if default.value is not None and _kind(node) != _kind(default):
            said = f"variable {shown(name)} is {node.found}, expected {_kind(default)} as at {default.place}"
            report.add(place, said, code="wrong-type")
        document.definitions[name] = Definition(VARIABLES, known[name].place, node, known[name].own)


def _kind(node: Node) -> str:
    kinds = {bool: "true or false", int: "a number", float: "a number", str: "text", list: "a list", dict: "a mapping"}
    return kinds.get(type(node.value), "nothing" if node.value is None else "a plain value")


class Resolver:
    """Puts in place of ``$name`` what the name stands for, and remembers which names were used.

    A part keeps its own place, by which it is read once; a plain value stands where it is used, and says by which
    variable.

    >>> final = Definition(VARIABLES, Place("a.yaml", 2, 3), Node(0.9, Place("a.yaml", 2, 10)), own=True)
    >>> document = Document(definitions={"final": final})
    >>> node = Resolver(document, Report()).resolve(Node("$final", Place("a.yaml", 7, 5)))
    >>> node.value, str(node.place)
    (0.9, 'a.yaml:7:5 ($final at a.yaml:2:10)')
    """

    def __init__(self, document: Document, report: Report) -> None:
        self.document = document
        self.report = report
        self.used: set[str] = set()
        self._known: dict[str, Node] = {}
        self._chain: list[str] = []

    def resolve(self, node: Node, depth: int = 0) -> Node:
        """Return the node without names in it; the same node where there were none."""
        if depth > DEPTH:
            self.report.stop(node.place, f"nested more than {DEPTH} deep, with what names stand for")
        if isinstance(node.value, str):
            return self._text(node, depth) if "$" in node.value else node
        if isinstance(node.value, list):
            items = [self.resolve(item, depth + 1) for item in node.value]
            same = all(map(_is, items, node.value))
            return node if same else _with(node, items, node.part)
        if isinstance(node.value, dict):
            pairs = {name: Pair(key, self.resolve(value, depth + 1)) for name, (key, value) in node.value.items()}
            same = all(pair.value is node.value[name].value for name, pair in pairs.items())
            return node if same else _with(node, pairs, node.part)
        return node

    def definition(self, name: str, depth: int = 0) -> Node:
        """Return what a name stands for, resolved; the same node at every call."""
        if name not in self._known:
            self._chain.append(name)
            found = self.document.definitions[name].node
            self._known[name] = self._as_part(name, self.resolve(found, depth), found)
            self._chain.pop()
        return self._known[name]

    def unused(self) -> list[tuple[str, Definition]]:
        """Return the names of the recipe itself that nothing has asked for."""
        every = self.document.definitions.items()
        return [(name, one) for name, one in every if one.own and name not in self.used]

    def _as_part(self, name: str, resolved: Node, found: Node) -> Node:
        """A part may be another by a second name, of the same section."""
        if resolved.part is None or found.part is None:
            return resolved if found.part is None else _with(resolved, resolved.value, found.part)
        if resolved.part is not found.part:
            wrong, right = article(noun(resolved.part)), article(noun(found.part))
            self.report.add(found.place, f"{name} is {wrong} here, expected {right}", code="wrong-type")
            return Node(LOST, found.place)
        return resolved

    def _text(self, node: Node, depth: int) -> Node:
        match = REFERENCE.fullmatch(node.value)
        if match is not None:
            return self._named(node, match[1] or match[2], depth)
        if "$" in node.value.replace("$$", ""):
            self.used.update(NAME.findall(node.value))  # meant, so not called unused as well
            said = "stands for a whole value, here it is inside a text; write $$ for the sign itself"
            self.report.add(node.place, f"{shown(node.value)}: a name after a dollar sign {said}")
            return Node(LOST, node.place)
        return Node(node.value.replace("$$", "$"), node.place, part=node.part)

    def _named(self, node: Node, name: str, depth: int) -> Node:
        if name not in self.document.definitions:
            self._miss(node, name)
            return Node(LOST, node.place)
        self.used.add(name)
        if name in self._chain:
            circle = " → ".join([*self._chain[self._chain.index(name) :], name])
            self.report.add(node.place, f"{shown(node.value)} stands for itself: {circle}", code="circle")
            return Node(LOST, node.place)
        found = self.definition(name, depth + 1)
        if depth + found.height > DEPTH:
            self.report.stop(node.place, f"nested more than {DEPTH} deep, with what names stand for")
        if found.part is not None or isinstance(found.value, (list, dict)):
            return replace(found, used_at=node.place)
        return Node(found.value, node.place._replace(by=f"${name} at {found.place}"))

    def _miss(self, node: Node, name: str) -> None:
        """Report an unknown name; the one that was probably meant is not called unused as well."""
        if self.document.whole:
            known = (node.value.replace(name, one) for one in self.document.definitions)
            near = self.report.unknown(node.place, f"unknown name {shown(node.value)}", node.value, known)
            self.used.update(NAME.findall(near or ""))


def _with(node: Node, value: Any, part: type | None) -> Node:
    pairs = isinstance(value, dict)
    inside = [pair.value for pair in value.values()] if pairs else value if isinstance(value, list) else []
    height = 1 + max((item.height for item in inside), default=-1)
    return Node(value, node.place, node.size, height, part)


def _is(one: object, other: object) -> bool:
    return one is other
