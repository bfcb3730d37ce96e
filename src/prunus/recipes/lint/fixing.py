"""Put names right where only one can have been meant; all else in the file stays as it is, to the byte."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from torch import nn

from prunus.checkpoints.files import replacing
from prunus.errors import RecipeError
from prunus.recipes.faults import Fault, Place, Report
from prunus.recipes.lint.lines import offset
from prunus.recipes.lint.linting import lint
from prunus.recipes.text import parse

ROUNDS = 10
"""A name that is put right may show a wrong one inside; so often is looked again."""
QUOTES = ("", "'", '"')


class Change(NamedTuple):
    """A file before and after.

    >>> Change(Path("recipe.yaml"), "polices:", "policies:").after
    'policies:'
    """

    file: Path
    before: str
    after: str


def fix(path: str | Path, *, model: nn.Module | None = None) -> list[Change]:
    """Put the certain renames of a recipe, and of the files that it includes, into the files; return what changed.

    Each file is replaced at once, by one that is whole. Left alone is a name that is written with an escape or an
    anchor or comes through a variable, and one whose right form would make a key come twice.

    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "recipe.yaml"
    >>> _ = file.write_text("version: 1\\npolices: []  # to come\\n")
    >>> [change.after for change in fix(file)]
    ['version: 1\\npolicies: []  # to come\\n']
    """
    before: dict[Path, str] = {}
    for _ in range(ROUNDS):
        changes = _round(path, model)
        for change in changes:
            before.setdefault(change.file, change.before)
            _write(change)
        if not changes:
            break
    return [Change(file, text, _text(file)) for file, text in before.items()]


def fixable(faults: Iterable[Fault]) -> set[Place]:
    """Return where :func:`fix` puts a name right; a certain one elsewhere is left to the reader, as all in a text are.

    >>> fixable(lint("version: 1\\npolices: []\\n").faults)
    set()
    """
    files = {file: some for file, some in _by_file(faults).items() if file.is_file()}
    return {place for file, some in files.items() for place in repaired(_text(file), some)[1]}


def repaired(text: str, faults: Iterable[Fault]) -> tuple[str, list[Place]]:
    """Return the text with the renames of its faults in place, from the last one upwards, and where one was possible.

    >>> from prunus.recipes.faults import Rename
    >>> repaired('"polices": []', [Fault(Place("a.yaml", 1, 1), "", rename=Rename("polices", "policies"))])[0]
    '"policies": []'
    """
    done = []
    for fault in sorted(faults, key=lambda one: one.place, reverse=True):
        renamed = _renamed(text, fault)
        if renamed != text and _faults(renamed) <= _faults(text):
            text = renamed
            done.append(fault.place)
    return text, done


def _round(path: str | Path, model: nn.Module | None) -> list[Change]:
    certain = _by_file(lint(path, model=model).faults)
    changes = [Change(file, _text(file), repaired(_text(file), faults)[0]) for file, faults in certain.items()]
    return [change for change in changes if change.after != change.before]


def _by_file(faults: Iterable[Fault]) -> dict[Path, list[Fault]]:
    """Return the certain renames of each file, those left out that stand elsewhere than their fault."""
    found = defaultdict(list)
    for fault in faults:
        if fault.rename is not None and fault.line and not fault.place.by:
            found[Path(fault.file)].append(fault)
    return found


def _renamed(text: str, fault: Fault) -> str:
    """The name stands at its place, perhaps in quotes; where it is written otherwise, it is left alone."""
    at = offset(text, fault.line, fault.column)
    if at is None or fault.rename is None:
        return text
    old, new = fault.rename
    quote = next((quote for quote in QUOTES if text.startswith(f"{quote}{old}{quote}", at)), None)
    if quote is None:
        return text
    start = at + len(quote)
    return text[:start] + new + text[start + len(old) :]


def _faults(text: str) -> int:
    report = Report()
    try:
        parse(text, "", report)
    except RecipeError:
        return len(report.found) + 1_000
    return len(report.found)


def _text(file: Path) -> str:
    """Read with line breaks as they are."""
    return file.read_bytes().decode("utf-8")


def _write(change: Change) -> None:
    file = change.file.resolve()  # a link stays one
    mode = file.stat().st_mode
    with replacing(file) as fresh:
        fresh.write(change.after.encode("utf-8"))
    file.chmod(mode)
