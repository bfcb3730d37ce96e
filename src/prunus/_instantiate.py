"""Settings that name code: ``_target_`` entries, as Hydra writes them, become objects, with or without Hydra."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from typing import Any

from prunus.errors import Faults, PrunusError, SettingError, did_you_mean

HOMES = (
    "prunus.iterative",
    "prunus.optim",
    "prunus.regularizers",
    "prunus.schedules",
    "prunus.select",
    "prunus.steering",
    "prunus.integrations.lightning",
)
"""Where the names live that configurations of other projects give with their own paths; offered in errors."""


def plain(value: Any) -> Any:
    """Return mappings and sequences of any library as dicts and lists, OmegaConf's resolved; leave the rest alone.

    Hydra keeps a dataclass that it has built, such as a regularizer, as settings with a type: it becomes an object
    again.

    >>> plain([{"betas": (0.9, 0.999)}])
    [{'betas': (0.9, 0.999)}]
    """
    if type(value).__module__.partition(".")[0] == "omegaconf":
        return plain(_resolved(value))
    if isinstance(value, Mapping):
        return {key: plain(entry) for key, entry in value.items()}
    return type(value)(map(plain, value)) if type(value) in (list, tuple) else value


def _resolved(config: Any) -> Any:
    """Let OmegaConf, which made the object and so is installed, turn it into Python's own types."""
    try:
        return import_module("omegaconf").OmegaConf.to_object(config)
    except import_module("omegaconf.errors").OmegaConfBaseException as fault:
        raise SettingError(f"the configuration cannot be resolved: {fault}") from fault


def locate(path: str) -> Any:
    """Return what a dotted path names, importing the modules on its way.

    Raises:
        SettingError: the path leads nowhere, or the import of a module on it fails; the nearest name is offered.

    >>> locate("torch.nn.Linear")
    <class 'torch.nn.modules.linear.Linear'>
    >>> locate("src.callbacks.pruning.bregman.bregman_regularizers.RegL1")
    Traceback (most recent call last):
        ...
    prunus.errors.SettingError: ... Did you mean 'prunus.regularizers.RegL1'?
    """
    parts = path.split(".")
    if len(parts) < 2 or not all(map(str.isidentifier, parts)):
        raise SettingError(f"{path!r} is no dotted path such as 'package.module.Class'{_offer(parts[-1])}")
    found, rest = _imported(parts)
    for depth, name in enumerate(rest):
        try:
            found = getattr(found, name)
        except AttributeError:
            place = ".".join(parts[: len(parts) - len(rest) + depth])
            near = _offer(parts[-1]) or f". {did_you_mean(name, (n for n in dir(found) if n[0] != '_'))}"
            raise SettingError(f"{place} has no {name!r}{near}") from None
    return found


def _imported(parts: list[str]) -> tuple[Any, list[str]]:
    """Return the innermost module on a path and the names left behind it."""
    found = None
    for depth in range(1, len(parts)):
        name = ".".join(parts[:depth])
        try:
            found = import_module(name)
        except ModuleNotFoundError as fault:
            if fault.name != name:
                raise SettingError(f"{name} cannot be imported: {fault}") from fault
            if found is None:
                raise SettingError(f"no module is named {name!r}{_offer(parts[-1])}") from None
            return found, parts[depth - 1 :]
        except Exception as fault:  # whatever the code of a foreign module raises
            raise SettingError(f"{name} cannot be imported: {type(fault).__name__}: {fault}") from fault
    return found, parts[-1:]


def _offer(name: str) -> str:
    """Say where a name lives here, if it does; packages are read when an error asks, none for nothing."""
    for home in HOMES:
        try:
            known = import_module(home).__all__
        except PrunusError:  # its extra is missing
            continue
        if name in known:
            return f". Did you mean '{home}.{name}'?"
    return ""


def instantiate(config: Mapping[str, Any]) -> Any:
    """Call what ``_target_`` names with the other entries, or bind them when ``_partial_`` is true; nested ones first.

    Args:
        config: a mapping with ``_target_``, a dotted path or a callable, and the arguments by name.

    Raises:
        SettingError: the path leads nowhere, or the arguments do not fit; and what the call itself raises.

    Hydra's ``instantiate`` does more (``_args_``, ``_convert_``); here those are unknown arguments.

    >>> instantiate({"_target_": "prunus.regularizers.RegL1", "lamda": 0.1})
    RegL1(lamda=0.1)
    >>> instantiate({"_target_": "prunus.regularizers.RegL1", "lambda": 0.1})
    Traceback (most recent call last):
        ...
    prunus.errors.SettingError: prunus.regularizers.RegL1: it does not take 'lambda'. Did you mean 'lamda'?
    """
    config = plain(config)
    target = config["_target_"]
    settings = {key: _built(value) for key, value in config.items() if key not in ("_target_", "_partial_")}
    function = locate(target) if isinstance(target, str) else target
    _require_arguments(str(target), function, settings, complete=not config.get("_partial_"))
    return partial(function, **settings) if config.get("_partial_") else function(**settings)


def _built(value: Any) -> Any:
    """Instantiate whatever in a value has a ``_target_``."""
    if isinstance(value, list):
        return [_built(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    return instantiate(value) if "_target_" in value else {key: _built(entry) for key, entry in value.items()}


def _require_arguments(name: str, function: Callable[..., Any], settings: Mapping[str, Any], complete: bool) -> None:
    """Raise SettingError unless the function can be called with these names."""
    if not callable(function):
        raise SettingError(f"{name} is {function!r}, which cannot be called")
    try:
        signature = inspect.signature(function)
    except ValueError:  # some built-in functions hide theirs; the call will tell
        return
    faults, takes = Faults(name), signature.parameters
    if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in takes.values()):
        for key in settings.keys() - takes.keys():
            faults.add(f"it does not take {key!r}. {did_you_mean(key, takes)}")
    faults.raise_as(SettingError)
    try:
        signature.bind(**settings) if complete else signature.bind_partial(**settings)
    except TypeError as fault:
        raise SettingError(f"{name}: {fault}") from fault
