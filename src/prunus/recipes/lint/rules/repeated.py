"""repeated: a policy that stands there twice."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from prunus.actions import Regularize, Rewire
from prunus.recipes.faults import Fault
from prunus.recipes.lint.acts import Draft, say


def repeated(draft: Draft) -> Iterator[Fault]:
    """A policy says just what another one says, so that a penalty counts twice or weights move twice.

    Two that prune are an overlap.

    >>> list(repeated(Draft("native", ())))
    []
    """
    acts = [act for act in draft.acts if isinstance(act.action, (Regularize, Rewire))]
    for one, other in combinations(acts, 2):
        if other.policy == one.policy:
            yield say(other.at(), f"it says what the policy of {one.where} says, so it counts twice", "Leave one out.")
