"""The names that a recipe gives: to values, its variables, and to parts that several policies share."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from prunus.recipes.faults import Place, Report, shown
from prunus.recipes.kinds import SECTIONS
from prunus.recipes.nodes import Node

VARIABLES: Final = "variables"
NAMED = (VARIABLES, *SECTIONS)
TOP = ("version", "include", "replace", *NAMED, "policies")
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


@dataclass(frozen=True)
class Definition:
    """What a name stands for; ``own`` says that it stands in the recipe itself and not in a file that it includes.

    >>> Definition("schedules", Place("recipe.yaml", 3, 3), Node("cubic", Place()), own=True).section
    'schedules'
    """

    section: str
    place: Place
    node: Node
    own: bool


@dataclass
class Document:
    """A recipe and all that it includes: the policies in their order, and every name.

    ``whole`` is False when a file is missing, so that a name may be unknown for that reason only.

    >>> Document().definitions
    {}
    """

    policies: list[Node] = field(default_factory=list)
    definitions: dict[str, Definition] = field(default_factory=dict)
    whole: bool = True


def texts(root: Node, key: str, wanted: str, report: Report) -> Iterator[Node]:
    """Yield the entries of a list of texts, or the one text that stands in its place; none twice.

    >>> from prunus.recipes.nodes import from_plain
    >>> root = from_plain({"include": "base.yaml"}, Report())
    >>> [entry.value for entry in texts(root, "include", "a path", Report())]
    ['base.yaml']
    """
    node = root.value[key].value if key in root.value else Node([], root.place)
    seen: dict[str, Place] = {}
    for entry in node.value if isinstance(node.value, list) else [node]:
        if not isinstance(entry.value, str):
            report.add(entry.place, f"{key} is {entry.found}, expected {wanted}, or a list of such", code="wrong-type")
        elif entry.value in seen:
            report.add(
                entry.place,
                f"{key} names {shown(entry.value)} again; it is already at {seen[entry.value]}",
                code="duplicate",
            )
        else:
            seen[entry.value] = entry.place
            yield entry


def define(document: Document, root: Node, below: set[str], own: bool, report: Report) -> None:
    """Add the names of one file; ``below`` are those of the files that it includes, which ``replace`` may list.

    >>> from prunus.recipes.nodes import from_plain
    >>> document = Document()
    >>> define(document, from_plain({"schedules": {"ramp": "cubic"}}, Report()), set(), True, Report())
    >>> document.definitions["ramp"].section
    'schedules'
    """
    replaced = {entry.value: entry for entry in texts(root, "replace", "a name", report)}
    mine = list(_found(root, own, report))
    for name, entry in replaced.items():
        if name not in below:
            report.unknown(entry.place, f"replace names {shown(name)}, which no included file has", name, below)
    for name, definition in mine:
        _add(document, name, definition, below, replaced.keys() & below, report)
    for name in sorted((replaced.keys() & below) - {name for name, _ in mine}):
        report.add(replaced[name].place, f"replace names {shown(name)}, which this file does not define")


def _found(root: Node, own: bool, report: Report) -> Iterator[tuple[str, Definition]]:
    for section in NAMED:
        node = root.value[section].value if section in root.value else Node({}, root.place)
        if not isinstance(node.value, dict):
            report.add(
                node.place,
                f"{section} is {node.found}, expected a mapping of names to what they stand for",
                code="wrong-type",
            )
            continue
        for name, (key, value) in node.value.items():
            marked = Node(value.value, value.place, value.size, value.height, SECTIONS.get(section))
            yield name, Definition(section, key.place, marked, own)


def _add(
    document: Document, name: str, definition: Definition, below: set[str], replaced: set[str], report: Report
) -> None:
    before = document.definitions.get(name)
    if not NAME.fullmatch(name):
        report.add(definition.place, f"{shown(name)} is no name: letters, digits, _ and -, beginning with a letter")
    elif before is not None and (name not in replaced or before.own):
        hint = f"; to put this one in its place write replace: [{name}]" if name in below and not before.own else ""
        said = f"name {shown(name)} again; it is already in {before.section} at {before.place}{hint}"
        report.add(definition.place, said, code="duplicate")
    elif before is not None and before.section != definition.section:
        report.add(definition.place, f"{shown(name)} cannot replace one of {before.section}, at {before.place}")
    else:
        document.definitions[name] = definition
