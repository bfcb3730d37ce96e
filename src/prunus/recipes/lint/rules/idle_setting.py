"""idle-setting: a setting that has no effect beside the others."""

from __future__ import annotations

from collections.abc import Iterator

from prunus.actions import Prune, Rewire
from prunus.recipes.faults import Fault
from prunus.recipes.lint.acts import Draft, say
from prunus.scopes import Global


def idle_setting(draft: Draft) -> Iterator[Fault]:
    """A setting changes nothing beside the others: a seed where nothing is random, a scope beside n:m.

    >>> list(idle_setting(Draft("native", ())))
    []
    """
    for act in draft.acts:
        action = act.action
        if isinstance(action, (Prune, Rewire)) and action.seed and not _is_random(action):
            yield say(act.at("seed"), f"seed is {action.seed}, and nothing in this policy is random", "Leave it out.")
        if isinstance(action, Prune) and action.structure.budget and action.scope != Global():
            message = "the structure says how many of each set go, so the scope changes nothing"
            yield say(act.at("scope"), message, "Leave it out.")


def _is_random(action: Prune | Rewire) -> bool:
    criteria = (action.criterion,) if isinstance(action, Prune) else (action.drop, action.grow)
    return any(criterion.random for criterion in criteria)
