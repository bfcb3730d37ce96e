"""What a pruning policy has done so far, and whether a saved state of it can be gone on from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from prunus.errors import CheckpointError, Faults, SparsityDecreaseError
from prunus.keep import pruned_count


@dataclass
class Counts:
    """What was asked and what came out at the last firing, in members of the structure.

    >>> Counts(asked=5, achieved=5, total=10, asked_sparsity=0.5).achieved
    5
    """

    asked: int = 0
    achieved: int = 0
    total: int = 0
    asked_sparsity: float = 0.0


def require_same(saved: Mapping[str, Any], mine: Mapping[str, Any]) -> None:
    """Raise CheckpointError, with what has changed, when a state counts other groups or those of other targets.

    >>> require_same({"structure": "Element()", "targets": ["a"]}, {"structure": "Row()", "targets": ["a", "b"]})
    Traceback (most recent call last):
        ...
    prunus.errors.CheckpointError: the recipe has changed since it was saved:
    - the structure was Element(), it is Row()
    - 'b' is a target now
    """
    faults = Faults("the recipe has changed since it was saved")
    if saved["structure"] != mine["structure"]:
        faults.add(f"the structure was {saved['structure']}, it is {mine['structure']}")
    for name in sorted(set(mine["targets"]) - set(saved["targets"])):
        faults.add(f"{name!r} is a target now")
    for name in sorted(set(saved["targets"]) - set(mine["targets"])):
        faults.add(f"{name!r} is no target any more")
    faults.raise_as(CheckpointError)


def require_rise(counts: Counts, before: float, final: float) -> None:
    """Raise SparsityDecreaseError when the end of a schedule was lowered below what is pruned already.

    >>> require_rise(Counts(achieved=6, total=10), before=0.9, final=0.5)
    Traceback (most recent call last):
        ...
    prunus.errors.SparsityDecreaseError: ... sparsity would fall: old 0.6000, new 0.5000
    """
    if final < before and counts.achieved > pruned_count(final, counts.total):
        raise SparsityDecreaseError(
            "pruned weights do not come back, so ask for at least the old sparsity, or start from dense weights: "
            f"sparsity would fall: old {counts.achieved / counts.total:.4f}, new {final:.4f}"
        )
