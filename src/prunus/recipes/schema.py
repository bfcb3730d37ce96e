"""A JSON Schema of recipes, read off the registries like everything else, for editors that complete and check."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from inspect import Parameter, cleandoc
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from prunus.actions import ACTIONS
from prunus.policy import Policy
from prunus.recipes.including import VERSION
from prunus.recipes.kinds import FAMILIES, LISTS, MAPPINGS, SECTIONS, Setting, alternatives, noun, settings_of
from prunus.recipes.references import REFERENCE
from prunus.recipes.sections import NAME, VARIABLES

Schema = dict[str, Any]
DRAFT = "http://json-schema.org/draft-07/schema#"
"""The draft that editors know."""
SCALARS: Mapping[Any, str] = {NoneType: "null", bool: "boolean", float: "number", int: "integer", str: "string"}


def json_schema() -> Schema:
    """Return the JSON Schema (draft 7) of recipes: names, keys, types, what is required.

    Whatever a recipe gets wrong in these, the schema finds; ranges, and what settings have to do with each other, only
    ``recipes.check`` knows. ``prunus schema`` prints it.

    >>> sorted(json_schema()["definitions"]["schedule"]["anyOf"][1]["properties"])[:3]
    ['constant_rate', 'cosine', 'cubic']
    """
    kinds = {noun(kind): _family(kind) if kind in FAMILIES else _settings(kind) for kind in SECTIONS.values()}
    name = {"type": "string", "pattern": f"^{REFERENCE.pattern}$", "description": "a variable or a part of this recipe"}
    return {
        "$schema": DRAFT,
        "title": "A recipe of prunus",
        **_mapping(_top(), required=["version"]),
        "anyOf": [{"required": ["policies"]}, {"required": ["include"]}],
        "definitions": {**kinds, "policy": _policy(), "name": name},
    }


def _top() -> dict[str, Schema]:
    texts = {"type": "array", "items": {"type": "string"}, "uniqueItems": True}
    entries = {"anyOf": [{"type": "string"}, texts]}
    named = {"type": "object", "propertyNames": {"pattern": f"^{NAME.pattern}$"}}
    sections = {at: {**named, "additionalProperties": _or_name(_ref(noun(kind)))} for at, kind in SECTIONS.items()}
    return {
        "version": {"const": VERSION, "description": "of the language"},
        "include": {
            **entries,
            "description": "recipes to take up first; paths count from this file",
        },
        "replace": {**entries, "description": "names of included files that this file says anew"},
        VARIABLES: {**named, "description": "values that $name stands for; load(path, variables={…}) replaces them"},
        **sections,
        "policies": {"type": "array", "minItems": 1, "items": _or_name(_ref("policy"))},
    }


def _policy() -> Schema:
    beside = settings_of(Policy)
    actions = {name: _member(kind) for name, kind in ACTIONS.items()}
    by_name = {"action": {"description": "an action with a name of its own", **_of(beside["action"])}}
    settings = {key: _of(one) for key, one in beside.items() if key != "action"}
    one_action = [{"required": [name]} for name in [*actions, "action"]]
    return {**_mapping({**actions, **by_name, **settings}), "oneOf": one_action}


def _family(kind: type) -> Schema:
    """A member by its name, where it needs no settings, or a mapping of its name to its settings."""
    members = FAMILIES[kind]
    alone = [name for name, member in members.items() if not _required(member)]
    written = _mapping({name: _member(member) for name, member in members.items()})
    return {"anyOf": [{"enum": alone}, {**written, "minProperties": 1, "maxProperties": 1}]}


def _member(kind: type) -> Schema:
    """The settings of a member; nothing will do where all have defaults."""
    forms = [_settings(kind), _ref("name"), *([] if _required(kind) else [{"type": "null"}])]
    return {"description": _summary(kind), "anyOf": forms}


def _settings(kind: type) -> Schema:
    said = _arguments(kind)
    properties = {key: {**said.get(key, {}), **_of(one)} for key, one in settings_of(kind).items()}
    return _mapping(properties, required=_required(kind))


def _of(setting: Setting) -> Schema:
    if setting.choices:
        found: Schema = {"anyOf": [{"enum": [*setting.choices]}, _ref("name")]}
    else:
        found = _or_name(*(_kind(one) for one in alternatives(setting.kind)))
    plain = setting.default is not Parameter.empty and type(setting.default) in SCALARS
    return {**found, "default": setting.default} if plain else found


def _kind(kind: Any) -> Schema:
    if kind in SCALARS:
        return {"type": SCALARS[kind]}
    if kind in SECTIONS.values():
        return _ref(noun(kind))
    base, inside = get_origin(kind) or kind, get_args(kind)
    if base is Literal:
        return {"enum": [*inside]}
    if base in MAPPINGS:
        return {"type": "object", "additionalProperties": _or_name(*map(_kind, alternatives(inside[1])))}
    if base not in LISTS:
        return _settings(kind)
    if base is not tuple or inside[-1] is Ellipsis:
        return {"type": "array", "items": _or_name(*map(_kind, alternatives(inside[0])))}
    items = [_or_name(*map(_kind, alternatives(one))) for one in inside]
    return {"type": "array", "items": items, "minItems": len(items), "maxItems": len(items)}


def _or_name(*forms: Schema) -> Schema:
    return {"anyOf": [*forms, _ref("name")]}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/definitions/{name}"}


def _mapping(properties: Mapping[str, Schema], required: Iterable[str] = ()) -> Schema:
    needed = {"required": [*required]} if required else {}
    return {"type": "object", "properties": dict(properties), "additionalProperties": False, **needed}


def _required(kind: type) -> list[str]:
    return [key for key, one in settings_of(kind).items() if one.required]


def _summary(kind: type) -> str:
    return " ".join(cleandoc(kind.__doc__ or "").split("\n\n")[0].split())


def _arguments(kind: type) -> dict[str, Schema]:
    """What a docstring says of each argument, by name."""
    block = re.search(r"^Args:\n((?:    .*\n?|\n)+)", cleandoc(kind.__doc__ or "") + "\n", re.MULTILINE)
    entries = re.findall(r"^    (\w+): (.*(?:\n {5,}.*)*)", block[1] if block else "", re.MULTILINE)
    return {name: {"description": " ".join(text.split())} for name, text in entries}
