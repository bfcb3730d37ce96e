"""Policies to a recipe: only what differs from the defaults, in the words that reading takes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass
from typing import Any

from prunus.actions import Action
from prunus.errors import SettingError
from prunus.policy import Policy
from prunus.recipes.including import VERSION
from prunus.recipes.kinds import FAMILIES, SECTIONS, settings_of
from prunus.recipes.references import escaped

Parts = Mapping[str, Mapping[str, Any]]
"""Named parts by section and name."""


def dump(policies: Sequence[Policy | Action], parts: Parts | None = None) -> str:
    """Write policies as the YAML text of a recipe, such that ``load(dump(policies))`` gives equal policies.

    Settings equal to their defaults are left out. A member with running state (a regularizer's λ, a steering) is
    written as it stands now.

    Args:
        policies: policies, or bare actions for the whole run; at least one.
        parts: members that shall have a name, by section (as ``kinds.SECTIONS``) and name: wherever a policy has an
            equal one, the name is written, and the part once.

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
    from prunus.recipes.style import to_yaml  # PyYAML is loaded on use

    if isinstance(policies, (str, Mapping)) or not isinstance(policies, Sequence) or not policies:
        raise SettingError(f"policies is {policies!r}, expected a list of at least one policy")
    writer = _Writer(parts or {})
    written = [writer.policy(policy) for policy in policies]
    return to_yaml({"version": VERSION, **writer.sections(), "policies": written})


class _Writer:
    """Turns members into plain values, and remembers which parts it has called by their names."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.used: dict[tuple[str, str], Any] = {}
        self.names = {
            (section, _plainly(part)): name for section, names in parts.items() for name, part in [*names.items()][::-1]
        }
        """What each part is called by what it says: steerings that say the same are not equal to each other."""

    def policy(self, policy: Policy | Action) -> dict[str, Any]:
        """Return a policy as a recipe has it."""
        policy = Policy(policy) if isinstance(policy, Action) else policy
        if not isinstance(policy, Policy):
            raise SettingError(f"a policy is {policy!r}, expected a Policy or an action")
        action = self.value(policy.action, "action")
        if isinstance(action, str):
            action = {"action": action} if action.startswith("$") else {action: None}
        return {**action, **{key: value for key, value in self.settings(policy).items() if key != "action"}}

    def sections(self) -> dict[str, Any]:
        """Return the sections of all parts that were called by name, those that they call by name included."""
        written: dict[tuple[str, str], Any] = {}
        while len(written) < len(self.used):
            for key, part in list(self.used.items()):
                if key not in written:
                    written[key] = self.plain(part, key[1])
        places = [(section, name) for section, names in self.parts.items() for name in names]
        found = {section: {name: written[at, name] for at, name in places if at == section and (at, name) in written}
                 for section in SECTIONS}  # fmt: skip
        return {section: names for section, names in found.items() if names}

    def value(self, value: Any, name: str) -> Any:
        """Return a value as YAML has it: a part by its name, other members as mappings, tuples as lists."""
        section = next((section for section, kind in SECTIONS.items() if isinstance(value, kind)), "")
        called = self.names.get((section, _plainly(value))) if self.parts.get(section) else None
        if called is None:
            return self.plain(value, name)
        self.used[section, called] = self.parts[section][called]
        return f"${called}"

    def settings(self, member: Any) -> dict[str, Any]:
        """Return the settings that differ from their defaults, as plain values."""
        takes = settings_of(member.__class__).items()
        values = {key: (getattr(member, key), setting.default) for key, setting in takes}
        return {key: self.value(value, key) for key, (value, default) in values.items() if value != default}

    def plain(self, value: Any, name: str) -> Any:
        """Return a value as YAML has it, itself without a name."""
        family = next((family for family in FAMILIES if isinstance(value, family)), None)
        if family is not None:
            key, below = _name_of(value, family), self.settings(value)
            return {key: below} if below else key
        if isinstance(value, str):
            return escaped(value)
        if value is None or isinstance(value, (bool, int)):
            return value
        if isinstance(value, float) and not math.isnan(value):
            return float(value)
        if isinstance(value, (list, tuple)):
            return [self.value(item, name) for item in value]
        if isinstance(value, Mapping):
            return {str(key): self.value(item, name) for key, item in value.items()}
        if is_dataclass(value):
            return self.settings(value)
        raise SettingError(f"{name} is {value!r}, which a recipe cannot say")


def _plainly(part: Any) -> str:
    """Return what a part says, without names in it."""
    return repr(_Writer({}).plain(part, "a part"))


def _name_of(member: Any, family: type) -> str:
    for name, kind in FAMILIES[family].items():
        if type(member) is kind:
            return name
    raise SettingError(f"{member!r} is in no registry of prunus, so a recipe cannot name it")
