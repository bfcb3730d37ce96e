"""The values that an entry of ``pruning_groups`` may hold: each is read, or refused with what was meant."""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Iterable, Mapping
from copy import deepcopy
from functools import partial
from typing import Any

from torch import nn

from prunus._instantiate import instantiate, locate
from prunus.errors import SelectionError, SettingError
from prunus.regularizers import RegNone, Regularizer, get_regularizer


def regularizer(value: Any) -> Regularizer:
    """Return the regularizer that a setting means, always a new object.

    Args:
        value: a Regularizer (copied), its name, a dotted path, a mapping with ``_target_`` or ``name`` and settings, a
            class or another callable that makes one, or None for RegNone.

    Raises:
        SettingError: anything else; unknown names, paths and settings come with the nearest one.

    >>> regularizer("l1"), regularizer({"name": "l1", "lamda": 0.5}), regularizer("prunus.regularizers.RegL1Pos")
    (RegL1(lamda=1.0), RegL1(lamda=0.5), RegL1Pos(lamda=1.0))
    """
    made = _made(value)
    made = made() if isinstance(made, partial) else made
    if not isinstance(made, Regularizer):
        raise SettingError(f"reg is {value!r}, expected a regularizer, its name, or a mapping with _target_ or name")
    return made


def _made(value: Any) -> Any:
    if value is None:
        return RegNone()
    if isinstance(value, Regularizer):
        return deepcopy(value)
    if isinstance(value, str) and "." not in value:
        return get_regularizer(value)
    if isinstance(value, Mapping) and "_target_" not in value and "name" in value:
        return get_regularizer(**{str(key): entry for key, entry in value.items()})
    if isinstance(value, Mapping):
        return instantiate(value) if "_target_" in value else value
    return instantiate({"_target_": value}) if isinstance(value, str) or callable(value) else value


def layer_type(kind: Any, classes: Iterable[type[nn.Module]] = ()) -> type[nn.Module]:
    """Return the class that a dotted name means; ``classes`` are those of the model, to offer beside torch's.

    Raises:
        SelectionError: nothing has this name, or it is no layer.

    >>> layer_type("torch.nn.layernorm.LayerNorm")
    Traceback (most recent call last):
        ...
    prunus.errors.SelectionError: layer type 'torch.nn.layernorm.LayerNorm': ... Did you mean 'torch.nn.LayerNorm'?
    """
    try:
        found = locate(kind) if isinstance(kind, str) else kind
    except SettingError as fault:
        reason = str(fault).partition(". ")[0]
        raise SelectionError(f"layer type {kind!r}: {reason}. {_nearest(kind, classes)}") from fault
    if not (inspect.isclass(found) and issubclass(found, nn.Module)):
        offer = _nearest(kind, classes) if isinstance(kind, str) else "Give a class, or its dotted name"
        raise SelectionError(f"layer type {kind!r} is not a subclass of torch.nn.Module. {offer}")
    return found


def _nearest(path: str, classes: Iterable[type[nn.Module]]) -> str:
    """Offer the layer of the model or of torch.nn whose name is nearest to the last part of a path."""
    torchs = {kind for kind in vars(nn).values() if inspect.isclass(kind) and issubclass(kind, nn.Module)}
    homes = {public(kind).rpartition(".")[2].lower(): public(kind) for kind in [*torchs, *classes]}
    near = difflib.get_close_matches(path.rpartition(".")[2].lower(), homes, n=1)
    return f"Did you mean {homes[near[0]]!r}?" if near else "Neither the model nor torch.nn has a layer of such a name"


def public(kind: type) -> str:
    """Return the dotted name under which a configuration would give a class.

    >>> public(nn.Linear)
    'torch.nn.Linear'
    """
    home = "torch.nn" if vars(nn).get(kind.__name__) is kind else kind.__module__
    return f"{home}.{kind.__qualname__}"


def pattern(key: str, value: Any) -> str:
    """Return a regular expression that compiles.

    >>> pattern("module_name_patterns", "*conv")
    Traceback (most recent call last):
        ...
    prunus.errors.SelectionError: module_name_patterns holds '*conv', ... for any text write '.*'
    """
    if not isinstance(value, str) or not value:
        raise SelectionError(f"{key} holds {value!r}, expected a regular expression")
    try:
        re.compile(value)
    except re.error as fault:
        hint = "; for any text write '.*'" if value.startswith(("*", "+", "?")) else ""
        raise SelectionError(f"{key} holds {value!r}, which is no regular expression: {fault}{hint}") from fault
    return value


def word(key: str, value: Any) -> str:
    """Return the name of a parameter inside its module.

    >>> word("param_names", "weight_ih_l0")
    'weight_ih_l0'
    """
    if not isinstance(value, str) or not value:
        raise SelectionError(f"{key} holds {value!r}, expected a name such as 'weight'")
    if "." in value:
        module, _, name = value.rpartition(".")
        raise SelectionError(f"{key} holds {value!r}; write {name!r} and the module {module!r} in module_name_patterns")
    return value


def listed(key: str, value: Any) -> tuple[Any, ...]:
    """Return the entries of a list; None is an empty one.

    >>> listed("param_names", ["weight"]), listed("param_names", None)
    (('weight',), ())
    """
    if value is None:
        return ()
    if not isinstance(value, (list, tuple)):
        raise SelectionError(f"{key} is {value!r}, expected a list: [{value!r}]")
    return tuple(value)


def flag(key: str, value: Any) -> bool:
    """Return a truth value; None is False.

    >>> flag("is_fallback", None)
    False
    """
    if value is not None and not isinstance(value, bool):
        raise SettingError(f"{key} is {value!r}, expected true or false")
    return bool(value)


def mapping(key: str, value: Any) -> dict[str, Any]:
    """Return a copy of a mapping; None is an empty one.

    >>> mapping("optimizer_settings", None)
    {}
    """
    if value is not None and not isinstance(value, Mapping):
        raise SettingError(f"{key} is {value!r}, expected a mapping")
    return {str(name): entry for name, entry in (value or {}).items()}
