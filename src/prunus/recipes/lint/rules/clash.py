"""clash: two policies move what only one can."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import suppress
from itertools import combinations

from prunus.errors import PrunusError
from prunus.policy import RunningPolicy
from prunus.recipes.faults import Fault
from prunus.recipes.lint.acts import Act, Draft, Run, say
from prunus.recipes.lint.unbound import running


def clash(draft: Draft) -> Iterator[Fault]:
    """Two policies move the same thing, such as the learning rate or λ, in the same stretch of the run.

    >>> list(clash(Draft("native", ())))
    []
    """
    acts = [(act, _resolved(act, draft.run)) for act in draft.acts] if draft.language == "native" else []
    for (one, earlier), (other, later) in combinations(acts, 2):
        if earlier.clashes(later):
            claims = other.policy.action.claims
            message = f"it moves {claims}, which the policy of {one.where} moves in the same stretch of the run"
            yield say(other.at(), message, "Give them windows apart, or make one policy of them.", "error")


def _resolved(act: Act, run: Run) -> RunningPolicy:
    """Windows that cannot be resolved count as the whole run, as they do in the scheduler."""
    policy = running(act.policy)
    with warnings.catch_warnings(), suppress(PrunusError):
        warnings.simplefilter("ignore")
        policy.resolve(run.totals)
    return policy
