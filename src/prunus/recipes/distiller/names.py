"""Parameter names as files write them, and the parameters of the model that they mean."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from torch import nn

from prunus.errors import SettingError
from prunus.select import Target
from prunus.select.target import parameters

WRAPPER = "module"
"""What DataParallel puts into the names of the parameters inside."""


def as_names(argument: str, written: str | Iterable[str]) -> tuple[str, ...]:
    """Return the names of an argument, one alone or several; SettingError when there is none or one comes twice.

    >>> as_names("weights", "fc.weight"), as_names("weights", ["a", "b"])
    (('fc.weight',), ('a', 'b'))
    """
    names = (written,) if isinstance(written, str) else tuple(written)
    if not names:
        raise SettingError(f"{argument} is empty, expected at least one parameter name")
    twice = sorted(name for name, times in Counter(names).items() if times > 1)
    if twice:
        raise SettingError(f"{argument} names {', '.join(map(repr, twice))} twice")
    return names


class Names:
    """Find parameters by name, whether or not file and model were wrapped in DataParallel.

    >>> names = Names(nn.Sequential(nn.Linear(2, 2)))
    >>> names.find("module.0.weight").name, names.find("1.weight")
    ('0.weight', None)
    """

    def __init__(self, model: nn.Module) -> None:
        self.targets = list(parameters(model))
        self._exact = {name: target for target in self.targets for name in (target.name, *target.aliases)}
        self._plain: Mapping[str, list[Target]] = defaultdict(list)
        for name, target in self._exact.items():
            self._plain[unwrapped(name)].append(target)

    def find(self, written: str) -> Target | None:
        """Return the parameter of this name, else the only one that differs in ``module.`` alone, else None."""
        if written in self._exact:
            return self._exact[written]
        near = {id(target): target for target in self._plain.get(unwrapped(written), [])}
        return next(iter(near.values())) if len(near) == 1 else None

    def spelt_like(self, written: str) -> list[str]:
        """Return every name as the file would write it: with ``module.`` before it if ``written`` has that."""
        before = f"{WRAPPER}." if written.startswith(f"{WRAPPER}.") else ""
        return [name if name.startswith(before) else before + name for name in self._exact]


def unwrapped(name: str) -> str:
    """Return a name without what DataParallel puts into it.

    >>> unwrapped("features.module.0.weight")
    'features.0.weight'
    """
    return ".".join(part for part in name.split(".") if part != WRAPPER)
