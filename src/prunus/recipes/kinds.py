"""What a recipe may say, read off the members: registries give the names, constructors give keys and types."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from inspect import Parameter, signature
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from prunus.actions import ACTIONS, Action
from prunus.criteria import CRITERIA, Criterion
from prunus.regularizers import REGULARIZERS, Regularizer
from prunus.schedules import SCHEDULES, Schedule
from prunus.scopes import SCOPES, Scope
from prunus.select import Select
from prunus.steering import STEERING, Steering
from prunus.structures import STRUCTURES, Structure
from prunus.window import Window

FAMILIES: dict[type, Mapping[str, type]] = {
    Action: ACTIONS,
    Criterion: CRITERIA,
    Regularizer: REGULARIZERS,
    Schedule: SCHEDULES,
    Scope: SCOPES,
    Steering: STEERING,
    Structure: STRUCTURES,
}
"""The base class of each family, as fields are annotated with it, and the family's members by name."""

SECTIONS: dict[str, type] = {
    "actions": Action,
    "criteria": Criterion,
    "regularizers": Regularizer,
    "schedules": Schedule,
    "scopes": Scope,
    "selects": Select,
    "steering": Steering,
    "structures": Structure,
    "windows": Window,
}
"""Where a recipe names its parts, and the kind of part in each section."""

LISTS = (list, tuple, Sequence)
MAPPINGS = (dict, Mapping)
LARGEST = 2**63


@dataclass(frozen=True)
class Setting:
    """One constructor parameter: its name, its type, its default (``Parameter.empty`` when it is required).

    ``choices`` are the only values, where the field's metadata says so; the class checks them itself. Metadata say too
    how a recipe has it ``written``, where that is less than the field takes.

    >>> from prunus.schedules import Cubic
    >>> [(one.name, one.required) for one in settings_of(Cubic).values()]
    [('final', True), ('initial', False)]
    """

    name: str
    kind: Any
    default: Any
    choices: tuple[Any, ...] = ()

    @property
    def required(self) -> bool:
        """Whether the recipe has to say it."""
        return self.default is Parameter.empty


@cache
def settings_of(kind: type) -> dict[str, Setting]:
    """Return the parameters of a class by name, with their types resolved.

    >>> from prunus.schedules import Cubic
    >>> list(settings_of(Cubic)), settings_of(Cubic)["final"].required
    (['final', 'initial'], True)
    """
    # Inherited fields are annotated in the words of the module that declares them, which only the class knows.
    maker: Any = kind
    hints = get_type_hints(maker if is_dataclass(kind) else maker.__init__)
    takes = signature(kind).parameters.values()
    named = [one for one in takes if one.kind not in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)]
    notes = {one.name: one.metadata for one in (fields(kind) if is_dataclass(kind) else ())}
    hints |= {name: said["written"] for name, said in notes.items() if "written" in said}
    choices = {name: said.get("choices", ()) for name, said in notes.items()}
    return {one.name: Setting(one.name, hints[one.name], one.default, choices.get(one.name, ())) for one in named}


def alternatives(kind: Any) -> tuple[Any, ...]:
    """Return the members of a union, or the type alone.

    >>> alternatives(int | None)
    (<class 'int'>, <class 'NoneType'>)
    """
    return get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)


def fits(value: Any, kind: Any) -> bool:
    """Say whether a node's value has the form that ``kind`` (no union) is written in; nothing is converted.

    >>> fits(1, float), fits(True, float), fits("0.9", float), fits(1.0, int)
    (True, False, False, False)
    """
    if kind in _SCALARS:
        return _SCALARS[kind](value)
    base = get_origin(kind) or kind
    if base is Literal:
        return any(type(value) is type(choice) and value == choice for choice in get_args(kind))
    if base in LISTS:
        return isinstance(value, list)
    return isinstance(value, (str, dict) if kind in FAMILIES else dict)


def expected(kind: Any) -> str:
    """Return in words what ``kind`` is written as.

    >>> expected(int | str | None)
    'a whole number, text or nothing'
    """
    words = [_words(one) for one in alternatives(kind)]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def noun(kind: type) -> str:
    """Return what a member of a family, or a part, is called.

    >>> noun(Criterion), noun(Window)
    ('criterion', 'window')
    """
    return kind.__name__.lower()


def article(word: str) -> str:
    """Return a noun with its article.

    >>> article("action"), article("scope")
    ('an action', 'a scope')
    """
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return not math.isnan(value) if isinstance(value, float) else abs(value) <= sys.float_info.max


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and -LARGEST <= value < LARGEST


_SCALARS: dict[Any, Callable[[Any], bool]] = {
    NoneType: lambda value: value is None,
    bool: lambda value: isinstance(value, bool),
    float: _is_number,
    int: _is_whole,
    str: lambda value: isinstance(value, str),
}
_WORDS = {
    NoneType: "nothing",
    bool: "true or false",
    float: "a number",
    int: "a whole number",
    str: "text",
}


def _words(kind: Any) -> str:
    if kind in _WORDS:
        return _WORDS[kind]
    if kind in FAMILIES:
        return f"the name of {article(noun(kind))} or a mapping such as {{{next(iter(FAMILIES[kind]))}: …}}"
    base = get_origin(kind) or kind
    if base is Literal:
        return " or ".join(map(repr, get_args(kind)))
    return "a list" if base in LISTS else "a mapping"
