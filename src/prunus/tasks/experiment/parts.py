"""Objects from nodes of a configuration; a fault names the node it comes from."""

from __future__ import annotations

from typing import Any

import hydra
from hydra.errors import InstantiationException
from omegaconf import DictConfig, OmegaConf

from prunus._instantiate import locate
from prunus.errors import PrunusError, SettingError


def build(config: DictConfig, key: str, **more: object) -> Any:
    """Return the object that the node ``key`` describes by its ``_target_``, with further arguments ``more``.

    Nodes inside are built first; lists and dicts arrive as plain ones.

    Raises:
        SettingError: the node has no ``_target_``, or making it failed; the message names the node that failed, which
            may lie deeper, its target and the reason.
        MissingExtraError, …: errors of prunus keep their kind and gain the node's name.

    >>> from omegaconf import OmegaConf
    >>> config = OmegaConf.create({"steering": {"_target_": "prunus.steering.SparsityBudget", "target": 90}})
    >>> build(config, "steering")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    prunus.errors.SettingError: steering (prunus.steering.SparsityBudget): target is 90, expected a fraction ...
    """
    node = config.get(key)
    if not isinstance(node, DictConfig) or "_target_" not in node:
        raise SettingError(f"{_full(config, key)} has no _target_, so there is nothing to build; it is {node!r}")
    try:
        return hydra.utils.instantiate(node, **more, _convert_="all")
    except InstantiationException as fault:
        raise _explained(fault, config, key) from fault


def build_all(config: DictConfig, key: str) -> list[Any]:
    """Return the objects of every entry below ``key``, in order; entries that are null or empty are left out.

    >>> from omegaconf import OmegaConf
    >>> build_all(OmegaConf.create({"callbacks": {"early_stopping": None}}), "callbacks")
    []
    """
    entries = config.get(key)
    return [build(entries, str(name)) for name in entries if entries.get(name)] if entries else []


def _explained(fault: InstantiationException, config: DictConfig, key: str) -> PrunusError:
    """Say which node failed and why; Hydra puts the node's name behind its own words."""
    said, _, place = str(fault).partition("full_key: ")
    place = place.strip() or _full(config, key)
    target = _target(config, place)
    cause = _first_cause(fault)
    if isinstance(cause, ImportError) and not isinstance(cause, PrunusError):
        cause = _not_found(target) or cause
    reason = said.strip() if cause is fault else str(cause)
    known = cause is fault or isinstance(cause, PrunusError)
    kind = type(cause) if isinstance(cause, PrunusError) else SettingError
    where = f"{place} ({target})" if target else place
    return kind(f"{where}: {reason}" if known else f"{where}: {type(cause).__name__}: {reason}")


def _first_cause(fault: BaseException) -> BaseException:
    """What Hydra's own errors were raised from."""
    while isinstance(fault, InstantiationException) and fault.__cause__ is not None:
        fault = fault.__cause__
    return fault


def _not_found(target: str) -> PrunusError | None:
    """Why a target cannot be found, with the nearest name; None when it can, and something else is missing."""
    try:
        locate(target)
    except PrunusError as fault:
        return fault
    return None


def _target(config: DictConfig, place: str) -> str:
    """The target of the node at ``place``."""
    node = OmegaConf.select(config._get_root(), place)
    return str(node.get("_target_") or "") if isinstance(node, DictConfig) else ""


def _full(config: DictConfig, key: str) -> str:
    return str(config._get_full_key(key))
