"""Policies to a recipe: only what differs from the defaults, in the words that reading takes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass
from typing import Any

from prunus.actions import Action
from prunus.errors import SettingError
from prunus.policy import Policy
from prunus.recipes.kinds import FAMILIES, settings_of
from prunus.recipes.reading import VERSION


def dump(policies: Sequence[Policy | Action]) -> str:
    """Write policies as the YAML text of a recipe, such that ``load(dump(policies))`` gives equal policies.

    Settings equal to their defaults are left out. A member with running state (a regularizer's λ, a steering) is
    written as it stands now.

    Args:
        policies: policies, or bare actions for the whole run; at least one.

    Raises:
        SettingError: no policy, something that is none, or a member that is in no registry.

    >>> from prunus.actions import Prune
    >>> from prunus.schedules import Linear
    >>> from prunus.structures import Block
    >>> print(dump([Prune(Linear(0.5), structure=Block(rows=2))]), end="")
    version: 1
    policies:
    - prune:
        schedule:
          linear: {final: 0.5}
        structure:
          block: {rows: 2}
    """
    if isinstance(policies, (str, Mapping)) or not isinstance(policies, Sequence) or not policies:
        raise SettingError(f"policies is {policies!r}, expected a list of at least one policy")
    return _yaml({"version": VERSION, "policies": [_policy(policy) for policy in policies]})


def _policy(policy: Policy | Action) -> dict[str, Any]:
    policy = Policy(policy) if isinstance(policy, Action) else policy
    if not isinstance(policy, Policy):
        raise SettingError(f"a policy is {policy!r}, expected a Policy or an action")
    written = _written(policy.action, "action")
    action = {written: None} if isinstance(written, str) else written
    return {**action, **{key: value for key, value in _settings(policy).items() if key != "action"}}


def _settings(member: Any) -> dict[str, Any]:
    """Return the settings that differ from their defaults, as plain values."""
    values = {key: (getattr(member, key), setting.default) for key, setting in settings_of(member.__class__).items()}
    return {key: _written(value, key) for key, (value, default) in values.items() if value != default}


def _written(value: Any, name: str) -> Any:
    """Return a value as YAML has it: a member by its name, tuples as lists."""
    family = next((family for family in FAMILIES if isinstance(value, family)), None)
    if family is not None:
        key, below = _name_of(value, family), _settings(value)
        return {key: below} if below else key
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float) and not math.isnan(value):
        return float(value)
    if isinstance(value, (list, tuple)):
        return [_written(item, name) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _written(item, name) for key, item in value.items()}
    if is_dataclass(value):
        return _settings(value)
    raise SettingError(f"{name} is {value!r}, which a recipe cannot say")


def _name_of(member: Any, family: type) -> str:
    for name, kind in FAMILIES[family].items():
        if type(member) is kind:
            return name
    raise SettingError(f"{member!r} is in no registry of prunus, so a recipe cannot name it")


def _yaml(content: Mapping[str, Any]) -> str:
    from prunus.recipes.style import to_yaml  # PyYAML is loaded on use

    return to_yaml(content)
