"""Objects from nodes of a configuration; a fault names the node it comes from."""

from __future__ import annotations

from typing import Any

import hydra
from hydra.errors import InstantiationException
from omegaconf import DictConfig

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
    cause: BaseException = fault.__cause__ or fault
    while isinstance(cause, InstantiationException) and cause.__cause__ is not None:
        cause = cause.__cause__
    reason = str(cause) if not isinstance(cause, InstantiationException) else said.strip()
    named = isinstance(cause, (PrunusError, InstantiationException))
    where = f"{place}{_target(config, place)}: "
    text = where + (reason if named else f"{type(cause).__name__}: {reason}")
    return type(cause)(text) if isinstance(cause, PrunusError) else SettingError(text)


def _target(config: DictConfig, place: str) -> str:
    """The target of the node at ``place``, in brackets."""
    from omegaconf import OmegaConf

    node = OmegaConf.select(config._get_root(), place)
    target = node.get("_target_") if isinstance(node, DictConfig) else None
    return f" ({target})" if target else ""


def _full(config: DictConfig, key: str) -> str:
    return str(config._get_full_key(key))
