"""From a path, a text or a mapping to the tree of nodes, within bounds."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prunus.recipes.faults import Place, Report, shown
from prunus.recipes.nodes import Node, from_plain

LARGEST = 1_000_000
"""Most bytes of a file; a recipe of 300 policies has 100,000."""


def tree_of(source: str | Path | Mapping[str, Any], report: Report) -> Node:
    """Return the tree of a recipe: a path, YAML text (a string with a line break), or a mapping.

    >>> tree_of({"version": 1}, Report()).value["version"].value.value
    1
    """
    if isinstance(source, Mapping):
        return from_plain(source, report)
    if not isinstance(source, (str, Path)):
        report.stop(Place(), f"a recipe is a path, YAML text or a mapping, got {type(source).__name__}")
    if isinstance(source, str) and "\n" in source:
        return tree_of_text(source, "<text>", report)
    try:
        content = content_of(Path(source))
    except (OSError, ValueError) as error:
        place = Place(shown(str(source), most=300))
        report.stop(place, f"cannot be read ({reason(error)}); YAML text in place of a path needs a line break")
    return tree_of_file(content, str(source), report)


def tree_of_text(text: str, file: str, report: Report) -> Node:
    """Return the tree of a YAML text that comes from ``file``.

    >>> tree_of_text("version: 1", "<text>", Report()).value["version"].key.place.column
    1
    """
    from prunus.recipes.text import parse  # PyYAML is loaded on use

    report.files.append(file)
    if len(text) > LARGEST:
        report.stop(Place(file), f"{len(text):,} characters, expected at most {LARGEST:,}")
    return parse(text, file, report)


def tree_of_file(content: bytes, file: str, report: Report) -> Node:
    """Return the tree of a file's content, which has to be UTF-8.

    >>> tree_of_file(b"version: 1", "recipe.yaml", Report()).value["version"].value.value
    1
    """
    if len(content) > LARGEST:
        report.stop(Place(shown(file, most=300)), f"more than {LARGEST:,} bytes, which no recipe has")
    try:
        return tree_of_text(content.decode("utf-8"), file, report)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        column = error.start - content.rfind(b"\n", 0, error.start)
        report.stop(Place(file, line, column), "not UTF-8 from here on; save the recipe in UTF-8")


def content_of(path: Path) -> bytes:
    """Read no more than is allowed, and only from a file: a pipe could keep us waiting for ever.

    >>> content_of(Path("."))
    Traceback (most recent call last):
        ...
    OSError: [Errno 22] not a file
    """
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "not a file")
    with path.open("rb") as file:
        return file.read(LARGEST + 1)


def reason(error: Exception) -> str:
    """Return in words why a file cannot be read; ValueError comes from a path with a null character.

    >>> reason(FileNotFoundError(2, "No such file or directory"))
    'No such file or directory'
    """
    return str(error.strerror if isinstance(error, OSError) else error)
