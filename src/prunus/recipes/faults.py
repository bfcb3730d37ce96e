"""Where a recipe is wrong: every fault with its place and severity, the errors together in one RecipeError."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, Literal, NamedTuple, NoReturn

from prunus.errors import Faults, RecipeError, did_you_mean
from prunus.recipes.spelling import one_slip

SHOWN = 100
"""Faults written out; a file of something else entirely has thousands, which nobody reads."""
VALUES = 100_000
"""Most values that are read, however often; a part that cannot change is read once."""
Severity = Literal["error", "warning", "notice"]
USUAL: Mapping[Severity, str] = {"error": "invalid", "warning": "no-effect", "notice": "convention"}
"""The codes of faults that have none of their own."""
LONGEST, COMPARED = 60, 10_000
"""Letters of the longest name, and the most names, that a misspelt one is compared with."""
_NEAR = re.compile(r"Did you mean '(?P<name>[^']*)'\?")
_OFFER = re.compile(rf"(?P<message>.*)\. (?P<offer>{_NEAR.pattern})", re.DOTALL)


class Place(NamedTuple):
    """A place in a recipe: file, line and column (from 1), or the keys that lead there when the recipe is a mapping.

    ``by`` says through which variable or part the value came, if through one.

    >>> print(Place("recipe.yaml", 3, 5), Place(keys="policies[0].window"))
    recipe.yaml:3:5 policies[0].window
    """

    file: str = ""
    line: int = 0
    column: int = 0
    keys: str = ""
    by: str = ""

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}" if self.line else self.keys or self.file
        return f"{where} ({self.by})" if self.by else where


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong, in words and for machines.

    Parameters: ``message`` says what is wrong; ``suggestion`` what to try, often empty; ``severity`` is "error" (the
    recipe cannot be used), "warning" (something in it changes nothing) or "notice" (a convention that readers may not
    expect); ``rename`` is the name that certainly was meant by the one written at ``place``, or None: a program may put
    it there; ``code`` says what kind of thing is wrong, in a word or two.

    >>> print(Fault(Place("recipe.yaml", 3, 5), "unknown key 'prun' of a policy", "Did you mean 'prune'?"))
    recipe.yaml:3:5: unknown key 'prun' of a policy. Did you mean 'prune'?
    """

    place: Place
    message: str
    suggestion: str = ""
    severity: Severity = "error"
    rename: Rename | None = None
    code: str = field(default="", compare=False)

    @property
    def file(self) -> str:
        """The file, or an empty text."""
        return self.place.file

    @property
    def line(self) -> int:
        """The line, from 1, or 0 where there are no lines."""
        return self.place.line

    @property
    def column(self) -> int:
        """The column, from 1, or 0 where there are no lines."""
        return self.place.column

    def __str__(self) -> str:
        said = f"{self.message}. {self.suggestion}" if self.suggestion else self.message
        return f"{self.place}: {said}" if any(self.place) else said

    def as_dict(self) -> dict[str, Any]:
        """Return the fault as plain values, for editors and other programs."""
        rename = None if self.rename is None else {"old": self.rename.old, "new": self.rename.new}
        words = {"severity": self.severity, "code": self.code, "message": self.message, "suggestion": self.suggestion}
        return {**self.place._asdict(), **words, "rename": rename}


class Rename(NamedTuple):
    """A name that stands at the place of a fault, perhaps in quotes, and the one that was certainly meant.

    >>> Rename("cubik", "cubic").new
    'cubic'
    """

    old: str
    new: str


class Report:
    """Collect faults with their places, and raise the errors together, in the order of the files.

    >>> report = Report()
    >>> report.unknown(Place("recipe.yaml", 3, 5), "unknown key 'prun' of a policy", "prun", ["prune", "steer"])
    'prune'
    >>> report.found[0].rename
    Rename(old='prun', new='prune')
    >>> report.finish()
    Traceback (most recent call last):
        ...
    prunus.errors.RecipeError: the recipe cannot be used: recipe.yaml:3:5: unknown key 'prun' of a policy. Did you...
    """

    def __init__(self, *, last_key_wins: bool = False) -> None:
        self.found: list[Fault] = []
        self.last_key_wins = last_key_wins
        """Whether a key that comes twice is a warning, and the second one counts."""
        self.files: list[str] = []
        """The files of the recipe in the order in which they are read, the recipe itself first."""
        self.parts: dict[Place, tuple[Any, bool]] = {}
        """What named parts were read as, by where they stand, and whether one object serves all uses."""
        self._kept: set[Fault] = set()
        self._values = self._compared = 0

    def count(self, place: Place) -> None:
        """Count one more value that is read, and stop when names repeat values without measure."""
        self._values += 1
        if self._values > VALUES:
            self.stop(place, f"more than {VALUES:,} values to read, those that names repeat included; split the recipe")

    def add(self, place: Place, message: str, *, severity: Severity = "error", code: str = "") -> None:
        """Remember one fault; an offer at the end of the message becomes the suggestion."""
        offer = _OFFER.fullmatch(message)
        message, suggestion = (offer["message"], offer["offer"]) if offer else (message, "")
        self.keep(Fault(place, message, suggestion, severity, code=code or USUAL[severity]))

    def again(self, place: Place, message: str) -> bool:
        """Remember a key that comes twice; say whether this second one counts."""
        if not self.last_key_wins:
            self.add(place, message, code="duplicate")
        else:
            self.add(place, f"{message}, and this one counts", severity="warning", code="duplicate")
        return self.last_key_wins

    def unknown(
        self, place: Place, message: str, name: str, known: Iterable[str], taken: Iterable[str] = ()
    ) -> str | None:
        """Remember that ``name`` is not among the ``known``; of these, ``taken`` ones cannot have been meant.

        Returns the name that was probably meant. Comparing names takes time, so thousands of faults get no offers.
        """
        near = _NEAR.fullmatch(self._unknown(place, message, name, known, taken).suggestion)
        return None if near is None else near["name"]

    def meant(
        self, place: Place, message: str, name: str, known: Iterable[str], taken: Iterable[str] = ()
    ) -> str | None:
        """Remember the same, and return the name that was certainly meant, if there is one."""
        rename = self._unknown(place, message, name, known, taken).rename
        return None if rename is None else rename.new

    def _unknown(self, place: Place, message: str, name: str, known: Iterable[str], taken: Iterable[str]) -> Fault:
        fault = Fault(place, message, code="unknown-name")
        if len(name) <= LONGEST and self._compared <= COMPARED:
            names = [one for one in islice(known, COMPARED) if len(one) <= LONGEST]
            self._compared += len(names)
            certain = one_slip(name, set(names) - set(taken))
            offer = did_you_mean(name, names) if certain is None else f"Did you mean {certain!r}?"
            rename = None if certain is None else Rename(name, certain)
            fault = replace(fault, suggestion=offer, rename=rename)
        self.keep(fault)
        return fault

    def refused(self, place: Place, message: str, value: object) -> None:
        """Remember that a member refused ``value``, a text perhaps, for which its message may offer another."""
        offer = _OFFER.fullmatch(message)
        if offer is None or not isinstance(value, str):
            return self.add(place, message, code="bad-value")
        near = one_slip(value, [offer["name"]])
        rename = None if near is None else Rename(value, near)
        return self.keep(Fault(place, offer["message"], offer["offer"], rename=rename, code="bad-value"))

    def finish(self) -> None:
        """Raise RecipeError with every error; do nothing when there is none."""
        errors = [fault for fault in self.in_order() if fault.severity == "error"]
        faults = Faults("the recipe cannot be used")
        for fault in errors[:SHOWN]:
            faults.add(str(fault))
        if len(errors) > SHOWN:
            faults.add(f"… and {len(errors) - SHOWN} more")
        try:
            faults.raise_as(RecipeError)
        except RecipeError as error:
            error.faults = tuple(self.in_order())
            raise

    def stop(self, place: Place, message: str) -> NoReturn:
        """Raise at once with what was found so far: after this fault the rest cannot be read."""
        self.add(place, message, code="unreadable")
        self.finish()
        raise AssertionError("a report with a fault did not raise")

    def in_order(self) -> list[Fault]:
        """Return every fault, warnings included, file by file from top to bottom."""
        rank = {file: at for at, file in enumerate(self.files)}
        return sorted(self.found, key=lambda one: (rank.get(one.place.file, -1), one.place.line, one.place.column))

    def keep(self, fault: Fault) -> None:
        """Remember a fault; one that an alias brings up a second time is kept once."""
        if fault not in self._kept:
            self._kept.add(fault)
            self.found.append(fault)


def shown(value: object, most: int = 60) -> str:
    """Return ``repr(value)``, a text cut to ``most`` characters, so that it fits a message.

    >>> shown("x" * 100)
    "'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…'"
    """
    return repr(value[:most] + "…") if isinstance(value, str) and len(value) > most else repr(value)
