"""Texts in the lines that the YAML parser counts, for quoting and for putting names right."""

from __future__ import annotations

import re

BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
MARK = "\ufeff"
"""The mark with which some editors begin a file; the parser does not count it."""


def lines_of(text: str) -> list[str]:
    """Return the lines without their breaks.

    >>> lines_of("version: 1\\r\\npolicies:\\n")
    ['version: 1', 'policies:', '']
    """
    return BREAK.split(text.removeprefix(MARK))


def offset(text: str, line: int, column: int) -> int | None:
    """Return where in the text a line and a column (both from 1) are, or None where there is no such line.

    >>> offset("version: 1\\npolicies:\\n", 2, 3)
    13
    """
    starts = [len(text) - len(text.removeprefix(MARK)), *(found.end() for found in BREAK.finditer(text))]
    return starts[line - 1] + column - 1 if 0 < line <= len(starts) else None
