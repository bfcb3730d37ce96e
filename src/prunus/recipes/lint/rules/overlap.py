"""overlap: two policies prune the same weights at once."""

from __future__ import annotations

from collections.abc import Iterator

from prunus.recipes.faults import Fault, Severity
from prunus.recipes.lint.acts import Act, Draft, Run, say

ALL = "*"


def overlap(draft: Draft) -> Iterator[Fault]:
    """Two policies prune the same weights in the same stretch of the run.

    In Distiller's files that is a conflict, which the reader reports.

    >>> list(overlap(Draft("native", ())))
    []
    """
    for one, other in draft.pairs() if draft.language == "native" else ():
        what = _shared(one, other)
        if what and _meet(one, other, draft.run):
            same = one.structure == other.structure
            message = f"it prunes {what} while the policy of {one.where} does"
            hint = "the larger sparsity wins" if same else "what either of them prunes stays pruned"
            yield say(other.at(), f"{message}; {hint}", "Give them weights or windows apart.", _severity(same))


def _severity(same: bool) -> Severity:
    return "warning" if same else "notice"


def _shared(one: Act, other: Act) -> str:
    """Return what both prune in words, or nothing; without a model, patterns are compared as they are written."""
    if not (one.goals and other.goals):
        return ""
    if ALL in one.goals or ALL in other.goals:
        rest = [name for name in {**one.goals, **other.goals} if name != ALL]
        return rest[0] if rest else "the same weights"
    return next((name for name in other.goals if name in one.goals), "")


def _meet(one: Act, other: Act, run: Run) -> bool:
    """Whether both are known, in one unit, and at work in the same stretch."""
    first, second = one.firings(run), other.firings(run)
    same = one.policy.when.unit == other.policy.when.unit
    return same and bool(first) and bool(second) and first[0] <= second[-1] and second[0] <= first[-1]
