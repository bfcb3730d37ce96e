"""The parameters of a model, walked once for many selections."""

from __future__ import annotations

import fnmatch
from collections import defaultdict
from collections.abc import Iterable

from torch import nn

from prunus.select.target import parameters


class Walk:
    """Every distinct parameter of a model, in model order, and where patterns find them.

    A pattern fits a parameter's qualified name or the name of its module; without a wildcard it is looked up. The walk
    knows nothing of layers that are added to the model later.

    Args:
        model: the model.

    >>> walk = Walk(nn.Sequential(nn.Linear(4, 2)))
    >>> walk.matched(["*.weight"]), walk.matched(["0"])
    ({0}, {0, 1})
    """

    def __init__(self, model: nn.Module) -> None:
        self.targets = tuple(parameters(model))
        self._at: dict[str, set[int]] = defaultdict(set)
        for at, target in enumerate(self.targets):
            for name in (target.name, *target.aliases):
                self._at[name].add(at)
                self._at[name.rpartition(".")[0]].add(at)

    @property
    def names(self) -> list[str]:
        """Every name of every parameter."""
        return [name for target in self.targets for name in (target.name, *target.aliases)]

    def matched(self, patterns: Iterable[str]) -> set[int]:
        """Return where in ``targets`` those are that one of the shell patterns fits."""
        return set().union(*map(self._found, patterns))

    def _found(self, pattern: str) -> set[int]:
        if not any(wildcard in pattern for wildcard in "*?["):
            return self._at.get(pattern, set())
        return set().union(*(found for place, found in self._at.items() if fnmatch.fnmatchcase(place, pattern)))
