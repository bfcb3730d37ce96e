"""Keep exactly k of many tensors: the only place in prunus that ranks.

The threshold is found without sorting and without putting the scores side by side. Seen as integers, the bits of a
float order like the float itself, so a histogram of their upper 16 bits says in which of 65,536 ranges the k-th
largest score lies, and a histogram of the next 16 bits, taken over that range alone, says where in it: two passes for
half, bfloat16 and float32, at most four for float64. All work is done on pieces of bounded size.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from prunus._native import ranking
from prunus._pieces import Entry, batches, count, gathered, one_thread, pick, pieces, spread_like
from prunus._rows import exactly_along, exactly_in_rows
from prunus.errors import ScoreError, SettingError, require_count, require_fraction

__all__ = ["Edge", "edge_of_smallest", "exactly", "exactly_along", "exactly_in_rows", "pruned_count"]

SMALL = 1 << 15  # so few candidates are selected directly; more are narrowed down by a histogram first
DIGIT = 16  # bits that one histogram resolves
KEY_OF = {torch.float32: torch.int32, torch.float64: torch.int64}  # other floats become one of these, exactly
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
def exactly(scores: Sequence[Tensor], keep: int, *, among: Sequence[Tensor] | None = None) -> list[Tensor]:
    """Mark the ``keep`` highest scores of all tensors together, exactly that many whatever the ties.

    Formula: mask = score > t, plus the first of the scores equal to t, where t is the ``keep``-th largest candidate.
    Equal scores (+0.0 equals -0.0) are kept in order: earlier tensor first, then lower row-major flat index, whatever
    the memory layout. Half, bfloat16, float32 and float64 are compared exactly, also with one another.

    Args:
        scores: floating-point tensors of any shapes, layouts and devices; higher keeps; infinities are fine.
        keep: how many to keep in all tensors together, from 0 to the number of candidates.
        among: bool masks of the same shapes; only True places are candidates. Others are never kept and their scores
            are not looked at (NaN is fine there). Default: all are candidates.

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
    """
    require_count("keep", keep, 0)
    entries = _entries(scores, among)
    dtype = torch.float64 if any(score.dtype == torch.float64 for score in scores) else torch.float32
    total = sum(entry[0].numel() if len(entry) == 1 else count(entry[1]) for entry in entries)
    if keep > total:
        raise SettingError(f"keep is {keep}, but there are only {total} candidates; ask for at most {total}")
    value, spare, ties = _threshold(entries, dtype, max(keep, 1), total) if total else (math.inf, 0, 0)
    masks = _masks(entries, dtype, value, spare if keep else 0, loose=spare == ties and keep > 0)
    return [spread_like(mask, score) for mask, score in zip(masks, scores, strict=True)]


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


def _threshold(entries: list[Entry], dtype: torch.dtype, rank: int, members: int) -> tuple[float, int, int]:
    """Return the ``rank``-th largest candidate, how many of its equals belong to the first ``rank``, and of how many.

    ``members`` counts the candidates whose keys start with the digits found so far; those digits and a zero: ``floor``.
    """
    bits = shift = torch.finfo(dtype).bits
    floor, fast = -1 << DIGIT - 1, all(map(_walkable, entries))
    while shift and (members > SMALL or (fast and shift < bits)):
        counts = (_count_natively if fast else _count)(entries, dtype, shift, floor)
        digit, rank, members = _descend(counts, rank)
        shift, floor = shift - DIGIT, floor + digit << DIGIT
    if shift == 0:
        return _value_of_key(floor >> DIGIT, dtype), rank, members
    left = torch.cat([keys.to(entries[0][0].device) for keys in _members(entries, dtype, shift, floor)])
    key = left.topk(rank, sorted=False).values.min()  # kthvalue is refused on CUDA in deterministic mode
    return _value_of_key(int(key), dtype), rank - int((left > key).sum()), int((left == key).sum())


def _walkable(entry: Entry) -> bool:
    """Say whether compiled kernels may walk a score and its mask."""
    return all(map(ranking.can_walk, entry, (torch.float32, torch.bool)))


def _count(entries: list[Entry], dtype: torch.dtype, shift: int, floor: int) -> Tensor:
    """Count the candidates whose bits above ``shift`` are those found so far by their next digit."""
    counts = torch.zeros(1 << DIGIT, dtype=torch.int64)
    for keys in _members(entries, dtype, shift, floor):
        digits = (keys >> shift - DIGIT).sub_(floor)
        counts += torch.bincount(digits, minlength=1 << DIGIT).cpu()
    return counts


def _count_natively(entries: list[Entry], dtype: torch.dtype, shift: int, floor: int) -> Tensor:
    """Do the same in one pass of a compiled kernel over each tensor."""
    counts = torch.zeros(1 << DIGIT, dtype=torch.int64)
    for score, *mask in entries:
        alive = mask[0] if mask else None
        if shift == DIGIT:
            ranking.count_lower(counts, score, alive, floor >> DIGIT)
        elif ranking.count_upper(counts, score, alive):
            raise _nan_found(entries)
    return counts


def _descend(counts: Tensor, rank: int) -> tuple[int, int, int]:
    """Return the digit that holds the ``rank``-th largest, its rank among those with that digit, and their number."""
    from_above = counts.flip(0).cumsum(0)
    place = int(torch.searchsorted(from_above, rank))
    members = int(counts[-1 - place])
    return len(counts) - 1 - place, rank - (int(from_above[place]) - members), members


def _members(entries: list[Entry], dtype: torch.dtype, shift: int, floor: int) -> Iterator[Tensor]:
    """Yield the keys of the candidates whose bits above ``shift`` are those found so far (at first: all)."""
    first = shift == torch.finfo(dtype).bits
    for values in batches(entries, dtype):
        if first and values.max().isnan():
            raise _nan_found(entries)
        keys = _keys(values)
        yield keys if first else pick(keys, keys >> shift == floor >> DIGIT)


def _keys(values: Tensor) -> Tensor:
    """Return integers that order as the floats do; adding 0.0 turns -0.0 into +0.0, so that the two tie."""
    bits = (values + 0.0).view(KEY_OF[values.dtype])
    info = torch.iinfo(bits.dtype)
    return bits.bitwise_xor_((bits >> info.bits - 1).bitwise_and_(info.max))


def _value_of_key(key: int, dtype: torch.dtype) -> float:
    """Return the float of one key: the map of ``_keys`` is its own inverse."""
    bits = key ^ torch.iinfo(KEY_OF[dtype]).max if key < 0 else key
    return float(torch.tensor(bits, dtype=KEY_OF[dtype]).view(dtype))


def _masks(entries: list[Entry], dtype: torch.dtype, value: float, spare: int, *, loose: bool) -> list[Tensor]:
    """Write the masks: all that tie with the threshold when ``loose``, else the first ``spare`` of them."""
    masks = []
    for entry in entries:
        masks.append(torch.empty_like(entry[0], dtype=torch.bool))
        if dtype == torch.float32 and _walkable(entry):
            spare = ranking.mark_above(masks[-1], entry[0], entry[1] if len(entry) > 1 else None, value, spare)
            continue
        for kept, score, *mask in pieces(masks[-1], *entry):
            above = torch.ge if loose else torch.gt
            above(score.to(dtype), value, out=kept)
            if mask:
                kept &= mask[0]
            if spare and not loose:
                tied = score.to(dtype) == value
                spare -= _add_first_(kept, tied & mask[0] if mask else tied, spare)
    return masks


def _add_first_(kept: Tensor, tied: Tensor, spare: int) -> int:
    """Add the first ``spare`` True places of ``tied``, in row-major order, to ``kept``; return how many were added."""
    found = count(tied)
    if found > spare:
        tied[tuple(tied.nonzero()[spare:].T)] = False
    kept |= tied
    return min(found, spare)


def _nan_found(entries: list[Entry]) -> ScoreError:
    """Name the first candidate that is NaN."""
    for number, (score, *mask) in enumerate(entries):
        bad = (score.isnan() & mask[0] if mask else score.isnan()).reshape(-1).nonzero()
        if len(bad):
            where = f"scores[{number}] (shape {tuple(score.shape)}) is NaN at flat index {int(bad[0])}"
            return ScoreError(f"{where} ({len(bad)} in this tensor); look for a loss or gradient that has diverged")
    raise AssertionError("a chunk holds NaN, but no score does")
