"""YAML text to a tree of nodes: no tag is obeyed, nothing is built, nothing grows without bound."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NoReturn

import yaml
from yaml.error import MarkedYAMLError, YAMLError
from yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
    StreamStartEvent,
)

from prunus.recipes.faults import Place, Report, shown
from prunus.recipes.nodes import DEPTH, NODES, Node, Pair, listed, mapped

LOADER: Any = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
"""libyaml reads a recipe twenty times as fast as Python does; only its events are used, which build nothing."""
FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that YAML does not allow."""
AROUND = (StreamStartEvent, DocumentStartEvent, DocumentEndEvent, StreamEndEvent)
WORDS: dict[str, bool | None] = {"": None, "~": None, "null": None, "Null": None, "NULL": None}
WORDS |= {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
WHOLE = re.compile(r"[-+]?[0-9]+")
NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


def parse(text: str, file: str, report: Report) -> Node:
    """Return the tree of a YAML text; ``file`` is its name in messages.

    Duplicate keys and tags are added to the report; RecipeError at once for what ends reading: a syntax error, nesting
    or size without measure, an unknown alias, a second document.

    >>> parse("version: 1", "recipe.yaml", Report()).value["version"].value
    Node(value=1, place=Place(file='recipe.yaml', line=1, column=10, keys='', by=''))
    """
    events = _events(text, file, report)
    composer = _Composer(events, file, report)
    root = Node(None, Place(file, 1, 1))
    for event in events:
        if isinstance(event, AROUND):
            continue
        if root.value is not None:
            report.stop(composer.place(event), "a second document begins; a recipe is one document")
        root = composer.node(event, 0)
    return root


def scalar(text: str) -> Any:
    """Return the value of a plain scalar by the core schema of YAML 1.2, in which yes, no and 1_000 are text.

    >>> [scalar(text) for text in ("1", "1e-3", ".5", "true", "~", "yes", "0.2dur")]
    [1, 0.001, 0.5, True, None, 'yes', '0.2dur']
    """
    if text in WORDS:
        return WORDS[text]
    if WHOLE.fullmatch(text) and len(text) < 400:  # Python refuses to read whole numbers of thousands of digits
        return int(text)
    if NUMBER.fullmatch(text):
        return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    return text


def _events(text: str, file: str, report: Report) -> Iterator[Event]:
    """Yield the parser's events lazily, so that a limit stops it in the middle, and place its errors."""
    _require_characters(text, file, report)
    try:
        yield from yaml.parse(text, LOADER)
    except MarkedYAMLError as error:
        _stop_at_mark(error, file, report)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, YAMLError) as error:
        # The parser itself trips over some broken input, such as the escape \UFFFFFFFF.
        report.stop(Place(file), f"not valid YAML ({error})")


def _require_characters(text: str, file: str, report: Report) -> None:
    wrong = FORBIDDEN.search(text)
    if wrong is not None:
        at = wrong.start()
        place = Place(file, text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at))
        report.stop(place, f"character {ord(wrong[0])} is not allowed in YAML")


def _stop_at_mark(error: MarkedYAMLError, file: str, report: Report) -> NoReturn:
    mark = error.problem_mark or error.context_mark
    place = Place(file) if mark is None else Place(file, mark.line + 1, mark.column + 1)
    reason = ", ".join(part for part in (error.context, error.problem) if part)
    report.stop(place, f"not valid YAML: {reason}")


class _Composer:
    """Build nodes out of events; an alias shares the node of its anchor, and counts as large as that is."""

    def __init__(self, events: Iterator[Event], file: str, report: Report) -> None:
        self.events = events
        self.file = file
        self.report = report
        self.anchors: dict[str, Node] = {}
        self.count = 0

    def place(self, event: Event) -> Place:
        """Return where the event's text begins."""
        return Place(self.file, event.start_mark.line + 1, event.start_mark.column + 1)

    def node(self, event: Any, depth: int) -> Node:
        """Return the node that the event begins."""
        place = self.place(event)
        self._measure(place, depth)
        if isinstance(event, AliasEvent):
            return self._alias(event, place)
        if event.tag is not None:
            tag = str(event.tag).replace("tag:yaml.org,2002:", "!!")
            self.report.add(place, f"tag {shown(tag)} is refused: a recipe holds plain values only", code="tag")
        made = self._made(event, place, depth)
        if event.anchor is not None:
            self.anchors[event.anchor] = made
        return made

    def _made(self, event: Event, place: Place, depth: int) -> Node:
        if isinstance(event, ScalarEvent):
            return Node(event.value if event.style else scalar(event.value), place)  # quotes are a style
        if isinstance(event, SequenceStartEvent):
            return listed(list(self._until(SequenceEndEvent, depth)), place, self.report)
        assert isinstance(event, MappingStartEvent)
        nodes = self._until(MappingEndEvent, depth)
        return mapped([Pair(key, next(nodes)) for key in nodes], place, self.report)

    def _until(self, end: type[Event], depth: int) -> Iterator[Node]:
        while not isinstance(event := next(self.events), end):
            yield self.node(event, depth + 1)

    def _alias(self, event: AliasEvent, place: Place) -> Node:
        """An anchor is known once its node is complete, so nothing can contain itself."""
        if event.anchor not in self.anchors:
            self.report.stop(place, f"alias {shown('*' + event.anchor)} has no anchor before it")
        return self.anchors[event.anchor]

    def _measure(self, place: Place, depth: int) -> None:
        self.count += 1
        if depth > DEPTH:
            self.report.stop(place, f"nested more than {DEPTH} deep")
        if self.count > NODES:
            self.report.stop(place, f"more than {NODES:,} values; split the recipe")
