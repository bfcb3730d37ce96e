"""Find the k-th largest of many tensors without sorting them, and mark what lies above it.

Seen as integers, the bits of a float order like the float itself, so a histogram of their upper 16 bits says in which
of 65,536 ranges the k-th largest score lies, and a histogram of the next 16 bits, taken over that range alone, says
where in it: two passes for half, bfloat16 and float32, at most four for float64.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from prunus._native import ranking
from prunus._pieces import Entry, batches, count, pick, pieces
from prunus.errors import ScoreError

SMALL = 1 << 15  # so few candidates are selected directly; more are narrowed down by a histogram first
DIGIT = 16  # bits that one histogram resolves
KEY_OF = {torch.float32: torch.int32, torch.float64: torch.int64}  # other floats become one of these, exactly


class Field(NamedTuple):
    """All that compete: scores and masks, the dtype they are compared in, and whether by absolute value.

    >>> Field([(torch.tensor([3.0, 1.0]),)], torch.float32, False).absolute
    False
    """

    entries: list[Entry]
    dtype: torch.dtype
    absolute: bool


def threshold(field: Field, rank: int, members: int) -> tuple[float, int, int]:
    """Return the ``rank``-th largest candidate, how many of its equals belong to the first ``rank``, and of how many.

    ``members`` counts the candidates whose keys start with the digits found so far; those digits and a zero: ``floor``.

    >>> threshold(Field([(torch.tensor([3.0, 1.0, 3.0, 3.0]),)], torch.float32, False), rank=2, members=4)
    (3.0, 2, 3)
    """
    bits = shift = torch.finfo(field.dtype).bits
    floor, fast = -1 << DIGIT - 1, all(map(_walkable, field.entries))
    while shift and (members > SMALL or (fast and shift < bits)):
        counts = (_count_natively if fast else _count)(field, shift, floor)
        digit, rank, members = _descend(counts, rank)
        shift, floor = shift - DIGIT, floor + digit << DIGIT
    if shift == 0:
        return _value_of_key(floor >> DIGIT, field.dtype), rank, members
    left = torch.cat([keys.to(field.entries[0][0].device) for keys in _members(field, shift, floor)])
    key = left.topk(rank, sorted=False).values.min()  # kthvalue is refused on CUDA in deterministic mode
    return _value_of_key(int(key), field.dtype), rank - int((left > key).sum()), int((left == key).sum())


def _walkable(entry: Entry) -> bool:
    """Say whether compiled kernels may walk a score and its mask."""
    return all(map(ranking.can_walk, entry, (torch.float32, torch.bool)))


def _count(field: Field, shift: int, floor: int) -> Tensor:
    """Count the candidates whose bits above ``shift`` are those found so far by their next digit."""
    counts = torch.zeros(1 << DIGIT, dtype=torch.int64)
    for keys in _members(field, shift, floor):
        digits = (keys >> shift - DIGIT).sub_(floor)
        counts += torch.bincount(digits, minlength=1 << DIGIT).cpu()
    return counts


def _count_natively(field: Field, shift: int, floor: int) -> Tensor:
    """Do the same in one pass of a compiled kernel over each tensor."""
    counts = torch.zeros(1 << DIGIT, dtype=torch.int64)
    for score, *mask in field.entries:
        alive = mask[0] if mask else None
        if shift == DIGIT:
            ranking.count_lower(counts, score, alive, floor >> DIGIT, absolute=field.absolute)
        elif ranking.count_upper(counts, score, alive, absolute=field.absolute):
            raise _nan_found(field.entries)
    return counts


def _descend(counts: Tensor, rank: int) -> tuple[int, int, int]:
    """Return the digit that holds the ``rank``-th largest, its rank among those with that digit, and their number."""
    from_above = counts.flip(0).cumsum(0)
    place = int(torch.searchsorted(from_above, rank))
    members = int(counts[-1 - place])
    return len(counts) - 1 - place, rank - (int(from_above[place]) - members), members


def _members(field: Field, shift: int, floor: int) -> Iterator[Tensor]:
    """Yield the keys of the candidates whose bits above ``shift`` are those found so far (at first: all)."""
    first = shift == torch.finfo(field.dtype).bits
    for values in batches(field.entries, field.dtype):
        if first and values.max().isnan():
            raise _nan_found(field.entries)
        keys = _keys(values.abs() if field.absolute else values)
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


def masks(field: Field, value: float, spare: int, *, loose: bool) -> list[Tensor]:
    """Write the masks: all that tie with the threshold when ``loose``, else the first ``spare`` of them.

    >>> masks(Field([(torch.tensor([3.0, 1.0, 3.0, 3.0]),)], torch.float32, False), value=3.0, spare=2, loose=False)
    [tensor([ True, False,  True, False])]
    """
    masks = []
    for entry in field.entries:
        masks.append(torch.empty_like(entry[0], dtype=torch.bool))
        if field.dtype == torch.float32 and _walkable(entry):
            alive = entry[1] if len(entry) > 1 else None
            spare = ranking.mark_above(masks[-1], entry[0], alive, value, spare, absolute=field.absolute)
            continue
        for kept, score, *mask in pieces(masks[-1], *entry):
            spare -= _mark_(kept, _worth(score, field), mask, value, spare, loose=loose)
    return masks


def _worth(score: Tensor, field: Field) -> Tensor:
    """Return what is compared."""
    return score.to(field.dtype).abs() if field.absolute else score.to(field.dtype)


def _mark_(kept: Tensor, worth: Tensor, mask: list[Tensor], value: float, spare: int, *, loose: bool) -> int:
    """Write one piece of a mask; return how many of the ``spare`` it took."""
    above = torch.ge if loose else torch.gt
    above(worth, value, out=kept)
    if mask:
        kept &= mask[0]
    if loose or not spare:
        return 0
    tied = worth == value
    return _add_first_(kept, tied & mask[0] if mask else tied, spare)


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
