"""Where a recipe is wrong: every fault with its place, all of them in one RecipeError."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

from prunus.errors import Faults, RecipeError

SHOWN = 100
"""Faults written out; a file of something else entirely has thousands, which nobody reads."""


@dataclass(frozen=True)
class Place:
    """A place in a recipe: file:line:column, or the keys that lead there when the recipe is a mapping.

    >>> print(Place.in_file("recipe.yaml", 3, 5))
    recipe.yaml:3:5
    """

    words: str
    order: tuple[int, int] = (0, 0)

    @classmethod
    def in_file(cls, file: str, line: int, column: int) -> Place:
        """Return the place at ``line`` and ``column``, both counted from 1."""
        return cls(f"{file}:{line}:{column}", (line, column))

    def __str__(self) -> str:
        return self.words


class Report:
    """Collect faults with their places and raise them together, in the order of the file.

    >>> report = Report()
    >>> report.add(Place.in_file("recipe.yaml", 3, 5), "unknown key 'prun'. Did you mean 'prune'?")
    >>> report.finish()
    Traceback (most recent call last):
        ...
    prunus.errors.RecipeError: the recipe cannot be used: recipe.yaml:3:5: unknown key 'prun'. Did you mean 'prune'?
    """

    def __init__(self) -> None:
        self.found: list[tuple[Place, str]] = []

    def add(self, place: Place, fault: str) -> None:
        """Remember one fault; one that an alias brings up a second time is kept once."""
        if (place, fault) not in self.found[-SHOWN:]:
            self.found.append((place, fault))

    def finish(self) -> None:
        """Raise RecipeError with every fault; do nothing when there is none."""
        faults = Faults("the recipe cannot be used")
        for place, fault in sorted(self.found, key=lambda found: found[0].order)[:SHOWN]:
            faults.add(f"{place}: {fault}")
        if len(self.found) > SHOWN:
            faults.add(f"… and {len(self.found) - SHOWN} more")
        faults.raise_as(RecipeError)

    def stop(self, place: Place, fault: str) -> NoReturn:
        """Raise at once with what was found so far: after this fault the rest cannot be read."""
        self.add(place, fault)
        self.finish()
        raise AssertionError("a report with a fault did not raise")


def shown(value: object, most: int = 60) -> str:
    """Return ``repr(value)``, a text cut to ``most`` characters, so that it fits a message.

    >>> shown("x" * 100)
    "'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…'"
    """
    return repr(value[:most] + "…") if isinstance(value, str) and len(value) > most else repr(value)
