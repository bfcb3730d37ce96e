"""From the entries of ``pruning_groups`` to groups: every fault is collected, with what was meant."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from prunus._instantiate import plain
from prunus.errors import Faults, PrunusError, SettingError, did_you_mean, require_number
from prunus.regularizers import RegNone, Regularizer
from prunus.select.group import Group
from prunus.select.group_parts import flag, layer_type, listed, mapping, pattern, regularizer, word
from prunus.sparse_init import SparseInit

CRITERIA = ("layer_types", "param_names", "module_name_patterns", "exclude_module_name_patterns")
KEYS = ("name", *CRITERIA, "is_fallback", "optimizer_settings", "pruning_config")
TAKEN = ("params", "param_names", "name")
FALLBACK = "fallback"


def read_groups(configs: Any, model: nn.Module, faults: Faults) -> list[Group]:
    """Read all entries, add a fallback where none is given, and add what is wrong to ``faults``.

    >>> faults = Faults("pruning_groups")
    >>> [group.name for group in read_groups([{"name": "linear", "layer_types": [nn.Linear]}], nn.Linear(1, 1), faults)]
    ['linear', 'fallback']
    >>> _ = read_groups([{"name": "linear", "layer_typs": [nn.Linear]}], nn.Linear(1, 1), faults)
    >>> faults.found
    ["group 'linear': it has the unknown key 'layer_typs'. Did you mean 'layer_types'?"]
    """
    try:
        entries = plain(configs)
    except SettingError as fault:
        faults.add(str(fault))
        return []
    if not isinstance(entries, (list, tuple)):
        faults.add(f"they are {entries!r}, expected a list of mappings, one a group")
        return []
    classes = {type(module) for module in model.modules()}
    read = [_Reader(entry, index, classes, faults).group() for index, entry in enumerate(entries)]
    groups = [group for group in read if group is not None]
    _require_distinct(groups, faults)
    return groups if any(group.is_fallback for group in groups) else [*groups, Group(FALLBACK, is_fallback=True)]


def _require_distinct(groups: Sequence[Group], faults: Faults) -> None:
    """Add a fault for every name used twice, for a second fallback, and for a fallback in name only."""
    for name, times in Counter(group.name for group in groups).items():
        if times > 1:
            faults.add(f"{times} groups are named {name!r}; give each its own name")
    fallbacks = [repr(group.name) for group in groups if group.is_fallback]
    if len(fallbacks) > 1:
        faults.add(f"{', '.join(fallbacks)} all have is_fallback; one group can take what the others leave")
    if not fallbacks and FALLBACK in [group.name for group in groups]:
        faults.add(f"group {FALLBACK!r} lacks is_fallback: true, so it would not take what others leave; add or rename")


@dataclass
class _Reader:
    """One entry on its way to a Group; ``read`` tries a part, and notes what is wrong with it."""

    entry: Any
    index: int
    classes: set[type[nn.Module]]
    faults: Faults

    def group(self) -> Group | None:
        """Return the group, with its faulty parts left out; None when it is no mapping."""
        if not isinstance(self.entry, Mapping):
            self.add(f"it is {self.entry!r}, expected a mapping with a name")
            return None
        for key in (key for key in self.entry if key not in KEYS):
            self.add(f"it has the unknown key {key!r}. {did_you_mean(str(key), KEYS)}")
        name = self.entry.get("name")
        if not isinstance(name, str) or not name:
            self.add(f"its name is {name!r}, expected a word" if "name" in self.entry else "it has no name")
            name = f"without a name at {self.index}"
        return Group(name, **self.criteria(), **self.settings(), start=self.start())

    def criteria(self) -> dict[str, Any]:
        """Read what the group takes; nothing is said about what it would take when a criterion is wrong."""
        before = len(self.faults.found)
        given = {key: self.read((), listed, key, self.entry.get(key)) for key in CRITERIA}
        fallback = self.read(False, flag, "is_fallback", self.entry.get("is_fallback"))
        useless = [key for key in CRITERIA if given[key] and fallback]
        if useless:
            self.add(f"it is the fallback, which takes what others leave, so {', '.join(useless)} cannot act; remove")
        types = [self.read(None, layer_type, kind, self.classes) for kind in given["layer_types"]]
        texts = {key: self._each(key, given[key]) for key in CRITERIA[1:]}
        right = {"layer_types": tuple(kind for kind in types if kind), **texts}
        return {**(right if len(self.faults.found) == before else {}), "is_fallback": fallback}

    def _each(self, key: str, values: Sequence[Any]) -> tuple[str, ...]:
        check = pattern if key.endswith("patterns") else word
        read = [self.read(None, check, key, value) for value in values]
        return tuple(value for value in read if value is not None)

    def settings(self) -> dict[str, Any]:
        """Read what the optimizer is told: the regularizer, its share of λ, and the rest."""
        given: dict[str, Any] = self.read({}, mapping, "optimizer_settings", self.entry.get("optimizer_settings"))
        for key in TAKEN:
            if key in given:
                self.add(f"optimizer_settings has {key}, which is made from the group itself; remove it")
        reg: Regularizer = self.read(RegNone(), regularizer, given.get("reg"))
        scale = given.get("lambda_scale")
        scale = (0.0 if isinstance(reg, RegNone) else 1.0) if scale is None else scale
        self.read(None, require_number, "lambda_scale", scale, 0.0, sys.float_info.max)
        rest = {key: value for key, value in given.items() if key not in ("reg", "lambda_scale")}
        return {"reg": reg, "lambda_scale": scale, "settings": rest}

    def start(self) -> SparseInit:
        """Read how sparse the group starts."""
        start: SparseInit = self.read(SparseInit(), SparseInit.of, self.entry.get("pruning_config"))
        return start

    def read(self, otherwise: Any, function: Callable[..., Any], *arguments: Any) -> Any:
        """Return what the function makes of the arguments; note its error and return ``otherwise`` instead."""
        try:
            return function(*arguments)
        except PrunusError as fault:
            self.add(str(fault))
            return otherwise

    def add(self, fault: str) -> None:
        """Note a fault, with the group's name or number before it."""
        name = self.entry.get("name") if isinstance(self.entry, Mapping) else None
        self.faults.add(f"group {repr(name) if name and isinstance(name, str) else self.index}: {fault}")
