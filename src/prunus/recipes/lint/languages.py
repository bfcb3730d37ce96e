"""Prunus' own recipes and Distiller's files, told apart by what stands in them, whatever is misspelt there."""

from __future__ import annotations

from prunus.actions import ACTIONS
from prunus.recipes.distiller.document import KINDS, REFUSED
from prunus.recipes.distiller.document import TOP as FOREIGN
from prunus.recipes.distiller.timing import TIMING
from prunus.recipes.lint.acts import Language
from prunus.recipes.nodes import Node, Pair
from prunus.recipes.sections import TOP as OWN


def language_of(root: Node) -> Language:
    """Return the language for which more speaks: sections at the top, keys of policies, ``class`` in components.

    >>> from prunus.recipes.faults import Report
    >>> from prunus.recipes.nodes import from_plain
    >>> language_of(from_plain({"policies": [{"prunner": {}, "starting_epoch": 0}]}, Report()))
    'distiller'
    >>> language_of(from_plain({"version": 1, "policies": [{"prun": {}}]}, Report()))
    'native'
    """
    if not isinstance(root.value, dict):
        return "native"
    sections = set(root.value)
    policies = root.value["policies"].value.value if "policies" in sections else []
    inside = [key for policy in (policies if isinstance(policies, list) else []) for key in _keys(policy)]
    foreign = len((sections | {*inside}) & ({*FOREIGN, *REFUSED} - {*OWN})) + _count(inside, (*KINDS, *TIMING))
    foreign += sum("class" in _keys(pair.value) for name in sections for pair in _pairs(root.value[name].value))
    own = len(sections & ({*OWN} - {*FOREIGN})) + _count(inside, (*ACTIONS, "action", "window"))
    return "distiller" if foreign > own else "native"


def _keys(node: Node) -> list[str]:
    return list(node.value) if isinstance(node.value, dict) else []


def _pairs(node: Node) -> list[Pair]:
    return list(node.value.values()) if isinstance(node.value, dict) else []


def _count(found: list[str], known: tuple[str, ...]) -> int:
    return sum(key in known for key in found)
