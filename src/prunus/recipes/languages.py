"""Which language a recipe is written in, told by its keys: ours or Distiller's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from prunus.actions import ACTIONS
from prunus.recipes.distiller.document import KINDS, REFUSED
from prunus.recipes.distiller.document import TOP as FOREIGN_TOP
from prunus.recipes.distiller.timing import TIMING
from prunus.recipes.faults import Report
from prunus.recipes.nodes import Node
from prunus.recipes.sections import TOP
from prunus.recipes.sources import tree_of

Language = Literal["distiller", "native"]
FOREIGN = ({*FOREIGN_TOP, *REFUSED} - {*TOP}) | {*KINDS, *TIMING}
"""Keys that only Distiller's files have, at the top or in a policy."""
OURS = ({*TOP} - {*FOREIGN_TOP}) | {*ACTIONS, "action", "window"}
"""Keys that only native recipes have."""


def language_of(source: str | Path | Mapping[str, Any]) -> Language:
    """Return the language of a recipe: a path, YAML text (a string with a line break), or a mapping.

    What has more keys of one language is taken to be of it, so that a misspelt key is reported by the right reader; a
    recipe that has none of either is native. Errors: RecipeError for what cannot be read as YAML at all.

    >>> language_of({"version": 1, "policies": [{"prune": {"schedule": {"cubic": {"final": 0.9}}}}]})
    'native'
    >>> language_of({"version": 1, "policies": [{"pruner": {"instance_name": "mine"}, "epochs": [0]}]})
    'distiller'
    """
    return language_of_tree(tree_of(source, Report(last_key_wins=True)))


def language_of_tree(root: Node) -> Language:
    """Return the language of a recipe that is a tree of nodes already.

    >>> from prunus.recipes.nodes import from_plain
    >>> language_of_tree(from_plain({"pruners": {}}, Report()))
    'distiller'
    """
    keys = list(_keys(root))
    foreign, ours = (sum(key in marks for key in keys) for marks in (FOREIGN, OURS))
    return "distiller" if foreign > ours else "native"


def _keys(root: Node) -> Iterator[str]:
    """Yield the keys at the top and those of the policies."""
    if not isinstance(root.value, dict):
        return
    yield from root.value
    policies = root.value["policies"].value.value if "policies" in root.value else None
    for policy in policies if isinstance(policies, list) else []:
        yield from policy.value if isinstance(policy.value, dict) else ()
