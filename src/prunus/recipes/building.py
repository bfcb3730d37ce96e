"""Nodes to members: each value is read as its field's type, each wrong one is reported at its place."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import is_dataclass
from typing import Any, Final, get_args, get_origin

from prunus.errors import PrunusError
from prunus.recipes.faults import Place, Report, shown
from prunus.recipes.kinds import FAMILIES, LISTS, MAPPINGS, alternatives, article, expected, fits, noun, settings_of
from prunus.recipes.nodes import LOST, Node, Pair
from prunus.recipes.respelling import respelt

UNREADABLE: Final = object()
"""Stands for a value whose fault has been reported."""


def read(node: Node, kind: Any, name: str, report: Report) -> Any:
    """Return what the node says, read as the type ``kind`` of the field ``name``, or UNREADABLE.

    >>> report = Report()
    >>> read(Node(1, Place("recipe.yaml", 3, 5)), float | None, "lamda", report)
    1.0
    >>> read(Node("1", Place("recipe.yaml", 3, 5)), float | None, "lamda", report) is UNREADABLE
    True
    >>> report.found[0].message
    "lamda is the text '1', expected a number or nothing"
    """
    if node.value is LOST:
        return UNREADABLE
    if node.part is None:
        return _read(node, kind, name, report)
    if node.part not in alternatives(kind):
        report.add(
            node.used_at or node.place,
            f"{name} is {article(noun(node.part))} here, expected {expected(kind)}",
            code="wrong-type",
        )
        return UNREADABLE
    return _part(node, kind, name, report)


def _part(node: Node, kind: Any, name: str, report: Report) -> Any:
    """Return what a named part says: the same object at every use, or a new one where it can change."""
    if node.place not in report.parts:
        made = _read(node, kind, name, report)
        report.parts[node.place] = (made, made is UNREADABLE or _is_frozen(made))
    made, stays = report.parts[node.place]
    return made if stays else _read(node, kind, name, report)


def _read(node: Node, kind: Any, name: str, report: Report) -> Any:
    report.count(node.place)
    form = next((one for one in alternatives(kind) if fits(node.value, one)), None)
    if form is None:
        report.add(node.place, f"{name} is {node.found}, expected {expected(kind)}", code="wrong-type")
        return UNREADABLE
    base = get_origin(form) or form
    if base in LISTS:
        return _items(node, form, name, report)
    if base in MAPPINGS:
        values = {key: read(pair.value, get_args(form)[1], key, report) for key, pair in node.value.items()}
        return UNREADABLE if UNREADABLE in values.values() else values
    if form in FAMILIES:
        return member(node, form, name, report)
    if isinstance(node.value, dict):
        return settings(form, node.value, name, node.place, report)
    return float(node.value) if form is float else node.value


def member(node: Node, family: type, name: str, report: Report) -> Any:
    """Return a member of the family, written as its name or as {name: {setting: value}}, or UNREADABLE.

    >>> from prunus.recipes.nodes import from_plain
    >>> from prunus.schedules import Schedule
    >>> report = Report()
    >>> member(from_plain({"cubic": {"final": 0.9}}, report), Schedule, "schedule", report)
    Cubic(final=0.9, initial=0.0)
    """
    if isinstance(node.value, str):
        return named(Pair(node, Node(None, node.place)), family, report)
    if len(node.value) != 1:
        keys = ", ".join(map(shown, node.value)) or "nothing"
        example = next(iter(FAMILIES[family]))
        report.add(
            node.place, f"{name} takes one {noun(family)}, written as {example}: {{…}}, found {keys}", code="wrong-type"
        )
        known = [pair for key, pair in node.value.items() if key in FAMILIES[family]]
        _ = [named(pair, family, report) for pair in known]  # for the faults inside
        return UNREADABLE
    (pair,) = node.value.values()
    return named(pair, family, report)


def named(pair: Pair, family: type, report: Report) -> Any:
    """Return the member that the key names, with the settings of the value, or UNREADABLE.

    >>> from prunus.recipes.nodes import from_plain
    >>> from prunus.schedules import Schedule
    >>> report = Report()
    >>> _ = named(from_plain({"cubik": {"final": 0.9}}, report).value["cubik"], Schedule, report)
    >>> [fault.rename.new for fault in report.found]
    ['cubic']
    """
    name, registry = pair.key.value, FAMILIES[family]
    if name not in registry:
        meant = report.meant(pair.key.place, f"unknown {noun(family)} {shown(name)}", name, registry)
        if meant is not None:
            named(Pair(Node(meant, pair.key.place), pair.value), family, report)  # for the faults inside
        return UNREADABLE
    if pair.value.value is LOST:
        return UNREADABLE
    if pair.value.value is not None and not isinstance(pair.value.value, dict):
        example = next(iter(settings_of(registry[name])), None)
        such = f"a mapping such as {{{example}: …}}" if example else "none, since it has no settings"
        report.add(
            pair.value.place, f"the settings of {name} are {pair.value.found}, expected {such}", code="wrong-type"
        )
        return UNREADABLE
    return settings(registry[name], pair.value.value or {}, name, pair.key.place, report)


def settings(kind: type, pairs: Mapping[str, Pair], name: str, place: Place, report: Report) -> Any:
    """Return ``kind`` built from the pairs, or UNREADABLE once every fault inside is reported.

    >>> from prunus.recipes.nodes import from_plain
    >>> from prunus.schedules import Cubic
    >>> report = Report()
    >>> pairs = from_plain({"final": 90, "begin": 0.5}, report).value
    >>> _ = settings(Cubic, pairs, "cubic", Place(), report)
    >>> for fault in report.found:
    ...     print(fault.message)
    unknown key 'begin' of cubic
    final is 90.0, expected a fraction between 0 and 1 (for 90 % write 0.9)
    """
    before = len(report.found)
    takes = settings_of(kind)
    given = respelt(pairs, takes, lambda key: f"unknown key {shown(key)} of {name}", report)
    read_in = {key: read(pair.value, takes[key].kind, key, report) for key, pair in given.items()}
    missing = [key for key, one in takes.items() if one.required and key not in given]
    if missing:
        report.add(place, f"{name} lacks {', '.join(missing)}", code="missing")
    arguments = {key: value for key, value in read_in.items() if value is not UNREADABLE}
    if any(one.required and key not in arguments for key, one in takes.items()):
        return UNREADABLE
    places = {key: pair.value.place for key, pair in given.items()}
    made = _made(kind, arguments, places, name, place, report)
    return made if len(report.found) == before else UNREADABLE


def _made(
    kind: type, arguments: dict[str, Any], places: Mapping[str, Place], name: str, place: Place, report: Report
) -> Any:
    """Build; where a setting is refused, report it and try again without it, so that the others are checked too."""
    try:
        return kind(**arguments)
    except (PrunusError, ArithmeticError, RuntimeError, TypeError, ValueError) as error:
        # Members check their settings, yet torch has limits of its own, such as the largest seed.
        blamed = _blamed(str(error), arguments)
        whole = len(arguments) == len(places)  # with something left out, a fault of the rest may come from the default
        if blamed is None and not whole:
            return UNREADABLE
        said = str(error) if isinstance(error, PrunusError) else f"{name} cannot be made: {error}"
        report.refused(place if blamed is None else places[blamed], said, arguments.get(blamed or ""))
    if blamed is not None and not settings_of(kind)[blamed].required:
        _made(kind, {key: value for key, value in arguments.items() if key != blamed}, places, name, place, report)
    return UNREADABLE


def _is_frozen(value: Any) -> bool:
    """Whether several policies may hold one object: nothing in it, all the way down, can be assigned to."""
    if isinstance(value, tuple):
        return all(map(_is_frozen, value))
    if value is None or isinstance(value, (bool, float, int, str)):
        return True
    frozen = is_dataclass(value) and vars(type(value))["__dataclass_params__"].frozen
    return frozen and all(map(_is_frozen, vars(value).values()))


def _items(node: Node, form: Any, name: str, report: Report) -> Any:
    kinds = get_args(form)
    values = node.value
    if get_origin(form) is not tuple or kinds[-1] is Ellipsis:
        kinds = (kinds[0],) * len(values)
    if len(kinds) != len(values):
        report.add(node.place, f"{name} has {len(values)} values, expected {len(kinds)}", code="wrong-type")
        return UNREADABLE
    found = [read(item, kinds[i], f"{name}[{i}]", report) for i, item in enumerate(values)]
    if UNREADABLE in found:
        return UNREADABLE
    return tuple(found) if get_origin(form) is tuple else found


def _blamed(message: str, arguments: Mapping[str, Any]) -> str | None:
    """Return the setting with whose name the message of a refusal begins."""
    word = re.match(r"\w*", message)
    return word[0] if word and word[0] in arguments else None
