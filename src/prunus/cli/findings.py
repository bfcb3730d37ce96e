"""Faults of a recipe for the eye: where, what, the line itself with the place under it, and what to try."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from prunus.recipes import Fault
    from prunus.recipes.faults import Place
    from prunus.recipes.lint import Change, Findings

STYLES = {"error": "bold red", "warning": "bold yellow", "notice": "bold cyan"}
WORDS = {"error": "error", "warning": "warning", "notice": "note"}
TOKEN = re.compile(r"""'[^']*'|"[^"]*"|[^\s,:\[\]{}]+|.""")
ROOM = 24
"""Columns that stay free to the left of a place in a line that is too long to be shown whole."""


def show(findings: Findings, texts: Mapping[str, Sequence[str]], console: Console) -> None:
    """Print every finding, an empty line after each.

    >>> from prunus.recipes.lint import lint, texts_of
    >>> recipe = "version: 1\\npolices: []\\n"
    >>> findings = lint(recipe)
    >>> show(findings, texts_of(recipe, findings), Console(width=80))
    <text>:2:1: error: unknown key 'polices' of the recipe [unknown-name]
      2 │ polices: []
        │ ^^^^^^^ Did you mean 'policies'?
    <BLANKLINE>
    <text>:2:10: error: policies is an empty list, expected a list of at least one policy [wrong-type]
      2 │ polices: []
        │          ^
    <BLANKLINE>
    """
    for fault in findings.faults:
        for line in _paragraph(fault, texts.get(fault.file, ()), console.width):
            console.print(line, soft_wrap=True)
        console.print()


def summary(name: str, findings: Findings) -> Text:
    """Return how much was found, in one line.

    >>> from prunus.recipes.lint import lint
    >>> print(summary("recipe.yaml", lint("version: 1\\npolices: []\\n")))
    recipe.yaml: 2 errors
    """
    counts = [(findings.count(severity), severity) for severity in STYLES]
    parts = [Text(_many(count, WORDS[severity]), STYLES[severity]) for count, severity in counts if count]
    return Text.assemble(f"{name}: ", Text(", ").join(parts) if parts else Text("no fault found", "bold green"))


def offer(findings: Findings, fixable: Collection[Place]) -> str:
    """Return what ``--fix`` does about the names that are certain, those at the ``fixable`` places and the others.

    >>> from prunus.recipes.lint import lint
    >>> findings = lint("version: 1\\npolices: []\\n")
    >>> offer(findings, [findings.faults[0].place]), offer(findings, [])
    ('; --fix puts 1 name right', '; --fix leaves 1 name to you')
    """
    certain = {fault.place for fault in findings.faults if fault.rename is not None}
    done, left = len(certain.intersection(fixable)), len(certain.difference(fixable))
    said = [f"puts {_many(done, 'name')} right"] * bool(done) + [f"leaves {_many(left, 'name')} to you"] * bool(left)
    return f"; --fix {' and '.join(said)}" if said else ""


def differences(change: Change) -> Iterator[Text]:
    """Yield the lines of a file that have changed, as ``diff -u`` writes them.

    >>> from pathlib import Path
    >>> from prunus.recipes.lint import Change
    >>> print(*differences(Change(Path("a.yaml"), "polices: []\\n", "policies: []\\n")), sep="\\n")
    --- a.yaml
    +++ a.yaml
    @@ -1 +1 @@
    -polices: []
    +policies: []
    """
    from difflib import unified_diff

    file = str(change.file)
    styles = {"-": "red", "+": "green", "@": "cyan"}
    pair = (change.before.splitlines(), change.after.splitlines())
    for line in unified_diff(*pair, file, file, lineterm="", n=1):
        yield Text(line, "bold" if line.startswith(("---", "+++")) else styles.get(line[0], "dim"))


def _paragraph(fault: Fault, lines: Sequence[str], width: int) -> Iterator[Text]:
    style = STYLES[fault.severity]
    where = f"{fault.place}: " if any(fault.place) else ""
    head = Text.assemble((where, "bold"), (f"{WORDS[fault.severity]}: ", style), fault.message)
    yield head.append(f" [{fault.code}]", "dim")
    if not 0 < fault.line <= len(lines):
        if fault.suggestion:
            yield Text(f"    {fault.suggestion}", "green")
        return
    number = str(fault.line).rjust(3)
    line, column = _excerpt(lines[fault.line - 1], fault.column, width - len(number) - 3)
    yield Text.assemble((f"{number} │ ", "dim"), line)
    token = _token(lines[fault.line - 1], fault)[: max(1, len(line) - column + 1)]
    caret = " " * cell_len(line[: column - 1]) + "^" * cell_len(token)
    below = Text.assemble((f"{' ' * len(number)} │ ", "dim"), (caret, style))
    fits = len(below.plain) + 1 + len(fault.suggestion) <= width
    yield below.append(f" {fault.suggestion}", "green") if fits and fault.suggestion else below
    if fault.suggestion and not fits:
        yield Text.assemble((f"{' ' * len(number)} │ ", "dim"), (fault.suggestion, "green"))


def _token(line: str, fault: Fault) -> str:
    """Return what is underlined: the name that is wrong, or the word that stands at the place."""
    word = TOKEN.match(line, fault.column - 1)
    old = fault.rename.old if fault.rename else ""
    return old if old and line.startswith(old, fault.column - 1) else word[0] if word else " "


def _excerpt(line: str, column: int, room: int) -> tuple[str, int]:
    """Return the part of a line that fits, and where the column is in it; what cannot be shown becomes a blank."""
    line = "".join(letter if letter.isprintable() else " " for letter in line)
    if len(line) <= room:
        return line, column
    start = max(0, min(column - 1 - ROOM, len(line) - room + 1))
    cut = ("…" if start else "") + line[start : start + room - 2] + ("…" if start + room - 2 < len(line) else "")
    return cut, column - start + (1 if start else 0)


def _many(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"
