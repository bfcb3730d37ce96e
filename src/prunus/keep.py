"""Keep exactly k of many tensors: the only place in prunus that ranks.

The threshold is found without sorting and without putting the scores side by side (:mod:`prunus._threshold`), and all
work is done on pieces of bounded size.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from prunus._native import ranking
from prunus._pieces import Entry, count, gathered, one_thread, spread_like
from prunus._rows import exactly_along, exactly_in_rows
from prunus._threshold import Field, masks, threshold
from prunus.errors import ScoreError, SettingError, require_count, require_fraction

__all__ = ["Edge", "edge_of_smallest", "exactly", "exactly_along", "exactly_in_rows", "pruned_count"]

TOLERANCE = 1e-12  # relative error granted to the product of a sparsity and a count


def pruned_count(sparsity: float, members: int) -> int:
    """Return how many of ``members`` a sparsity prunes: the largest count that does not exceed their product.

    Formula: ⌊sparsity · members⌋, where a product within 1e-12 (relative) of a whole number is that number, because
    0.29 · 100 is 28.999999999999996 in floating point and means 29.

    Args:
        sparsity: share to prune, a fraction in [0, 1].
        members: how many elements or groups there are, at least 0.

    Returns:
        A count between 0 and ``members``; ``members`` minus it is the ``keep`` of :func:`exactly`.

    Raises:
        SettingError: the sparsity is not in [0, 1], or the members are not a whole number of at least 0.

    Use it wherever a sparsity becomes a count, so that every part of a run rounds alike. Do not use it to measure:
    :func:`prunus.measure.sparsity` counts what is there.

    Source: law 1 ("exact") of the design of prunus.

    >>> pruned_count(0.29, 100), pruned_count(0.5, 3), pruned_count(1.0, 7)
    (29, 1, 7)
    """
    require_fraction("sparsity", sparsity)
    require_count("members", members, 0)
    product = sparsity * members
    whole = round(product)
    return whole if math.isclose(product, whole, rel_tol=TOLERANCE) else math.floor(product)


@torch.no_grad()
@one_thread()
def exactly(
    scores: Sequence[Tensor], keep: int, *, among: Sequence[Tensor] | None = None, absolute: bool = False
) -> list[Tensor]:
    """Mark the ``keep`` highest scores of all tensors together, exactly that many whatever the ties.

    Formula: mask = score > t, plus the first of the scores equal to t, where t is the ``keep``-th largest candidate.
    Equal scores (+0.0 equals -0.0) are kept in order: earlier tensor first, then lower row-major flat index, whatever
    the memory layout. Half, bfloat16, float32 and float64 are compared exactly, also with one another.

    Args:
        scores: floating-point tensors of any shapes, layouts and devices; higher keeps; infinities are fine.
        keep: how many to keep in all tensors together, from 0 to the number of candidates.
        among: bool masks of the same shapes; only True places are candidates. Others are never kept and their scores
            are not looked at (NaN is fine there). Default: all are candidates.
        absolute: rank by absolute value, which is never written down: that of large weights would take their memory
            again. Default: False.

    Returns:
        Bool masks with the shapes, devices and layouts of the scores, True in ``keep`` places in all.

    Raises:
        SettingError: ``keep`` is out of range, or ``among`` does not fit the scores.
        ScoreError: a candidate is NaN (says which tensor and flat index), or the scores are not floating-point.

    Use it for every selection by rank; it reads each score three times (float64: up to five) and needs some megabytes
    beside the masks. CPU work stays on the calling thread. A DTensor is gathered on every rank, and its mask comes
    back with its mesh and placements. Do not use it when a fixed threshold will do: ``score > t`` is one pass.

    Source: radix selection, Knuth, The Art of Computer Programming, volume 3, section 5.2.5 (distribution sorting).

    >>> exactly([torch.tensor([3.0, 1.0, 2.0]), torch.tensor([[2.0, 0.0]])], keep=2)
    [tensor([ True, False,  True]), tensor([[False, False]])]
    >>> exactly([torch.tensor([3.0, 1.0, 2.0])], keep=1, among=[torch.tensor([False, True, True])])
    [tensor([False, False,  True])]
    >>> exactly([torch.tensor([-3.0, 1.0, 2.0])], keep=1, absolute=True)
    [tensor([ True, False, False])]
    """
    require_count("keep", keep, 0)
    entries = _entries(scores, among)
    dtype = torch.float64 if any(score.dtype == torch.float64 for score in scores) else torch.float32
    total = sum(entry[0].numel() if len(entry) == 1 else count(entry[1]) for entry in entries)
    if keep > total:
        raise SettingError(f"keep is {keep}, but there are only {total} candidates; ask for at most {total}")
    field = Field(entries, dtype, absolute)
    value, spare, ties = threshold(field, max(keep, 1), total) if total else (math.inf, 0, 0)
    found = masks(field, value, spare if keep else 0, loose=spare == ties and keep > 0)
    return [spread_like(mask, score) for mask, score in zip(found, scores, strict=True)]


class Edge(NamedTuple):
    """Where living weights end that have to go: all smaller than ``size`` go, and of its equals all but ``stay``.

    >>> Edge(alive=3, size=3.0, stay=1).alive
    3
    """

    alive: int
    size: float
    stay: int


def edge_of_smallest(weights: Sequence[Tensor], keep: int) -> Edge | None:
    """Count the weights that are not zero, and find which |w| have to go for ``keep`` to be left, without listing them.

    Args:
        weights: tensors whose entries compete with one another.
        keep: how many may live.

    Returns:
        The count and, where it is more than ``keep``, the size up to which weights go; of those of that very size the
        first stay, as with :func:`exactly`. None where no kernel can walk a tensor, or where more than ``keep`` live
        and one of them is NaN: let :func:`exactly` name it.

    >>> weights = [torch.tensor([0.0, 3.0, -1.0]), torch.tensor([-3.0, 4.0])]
    >>> edge_of_smallest(weights, keep=2) in (Edge(alive=4, size=3.0, stay=1), None)
    True
    """
    if not all(ranking.can_walk(weight, torch.float32) for weight in weights):
        return None
    alive, size, stay = ranking.edge(weights, keep)
    return Edge(alive, size, stay) if stay >= 0 else None


def _entries(scores: Sequence[Tensor], among: Sequence[Tensor] | None) -> list[Entry]:
    """Refuse what cannot be ranked and pair each score with the mask of its candidates."""
    for number, score in enumerate(scores):
        if not score.is_floating_point() or score.layout != torch.strided:
            found = f"{score.dtype} ({score.layout})"
            raise ScoreError(f"scores[{number}] is {found}, expected dense floating-point numbers; try .float()")
    if among is None:
        return [(gathered(score),) for score in scores]
    if len(among) != len(scores):
        raise SettingError(f"among has {len(among)} masks, expected one for each of the {len(scores)} scores")
    for number, (score, mask) in enumerate(zip(scores, among, strict=True)):
        if mask.dtype != torch.bool or mask.shape != score.shape or mask.device != score.device:
            found = f"{mask.dtype} of shape {tuple(mask.shape)} on {mask.device}"
            wanted = f"torch.bool of shape {tuple(score.shape)} on {score.device} like its score"
            raise SettingError(f"among[{number}] is {found}, expected {wanted}")
    return [(gathered(score), gathered(mask)) for score, mask in zip(scores, among, strict=True)]
