"""Policies of every registered member with settings at random, read off the registries like recipes themselves."""

from __future__ import annotations

from types import NoneType
from typing import Any, Literal, get_args, get_origin

from hypothesis import reject
from hypothesis import strategies as st

from prunus.errors import PrunusError
from prunus.policy import Policy
from prunus.recipes.kinds import FAMILIES, LISTS, SECTIONS, Setting, alternatives, settings_of

SCALARS: dict[Any, st.SearchStrategy[Any]] = {
    NoneType: st.none(),
    bool: st.booleans(),
    float: st.sampled_from([0.5, 0.25, 0.1, 1e-5, 1.0, 0.0, 2.0]),
    int: st.integers(0, 9),
    str: st.sampled_from(["fc.*", "0.25dur", "$a", "${b", "1e3", "yes", " x", "é"]) | st.text(max_size=4),
}


def setting(one: Setting) -> st.SearchStrategy[Any]:
    if one.choices:
        return st.sampled_from(one.choices)
    return st.one_of([value(kind) for kind in alternatives(one.kind)])


def value(kind: Any) -> st.SearchStrategy[Any]:
    if kind in SCALARS:
        return SCALARS[kind]
    if kind in FAMILIES:
        return st.one_of([st.deferred(lambda one=one: member(one)) for one in FAMILIES[kind].values()])
    base, inside = get_origin(kind) or kind, get_args(kind)
    if base is Literal:
        return st.sampled_from(inside)
    if base in LISTS:
        items = st.lists(value(inside[0]), min_size=1, max_size=3)
        return items.map(tuple) if base is tuple else items
    return member(kind)


@st.composite
def member(draw: st.DrawFn, kind: Any) -> Any:
    """Return a member with some of its settings; where they contradict each other, with the required ones only."""
    takes = settings_of(kind)
    given = {key: draw(setting(one)) for key, one in takes.items() if one.required or draw(st.integers(0, 3)) == 0}
    for settings in (given, {key: one for key, one in given.items() if takes[key].required}):
        try:
            return kind(**settings)
        except (PrunusError, ArithmeticError, RuntimeError, TypeError, ValueError):
            continue
    return reject()


ANY_POLICY = member(Policy)
ANY_POLICIES = st.lists(ANY_POLICY, min_size=1, max_size=4)


def parts_of(policies: list[Policy]) -> dict[str, dict[str, Any]]:
    """Give a name to everything in the policies that can have one."""
    found: dict[str, dict[str, Any]] = {section: {} for section in SECTIONS}
    waiting: list[Any] = list(policies)
    while waiting:
        one = waiting.pop()
        for section, kind in SECTIONS.items():
            if isinstance(one, kind) and one not in found[section].values():
                found[section][f"{section}-{len(found[section])}"] = one
        if isinstance(one, (Policy, *SECTIONS.values())):
            waiting += [getattr(one, key) for key in settings_of(type(one))]
    return found
