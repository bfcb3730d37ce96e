"""Keep exactly k in each row of a matrix: the selection of n:m sparsity, without sorting where rows are short.

Each entry counts the others that it beats: it beats those behind it when it is at least as large, those before it when
it is larger. It stays when it beats all but k - 1. The counts of a row of 2, 4 or 8 entries fit into the bytes of one
integer, so a comparison of the flat scores with themselves, shifted, serves all rows at once.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from prunus._native import ranking
from prunus._pieces import CHUNK, WORD, gathered, one_thread, spread_like
from prunus.errors import ScoreError, SettingError, require_count

DEVICE_WORK = 1 << 24  # on accelerators each piece costs some twenty kernel launches
FLOATS = (torch.float32, torch.float64)
DIVERGED = "look for a loss or gradient that has diverged"


@torch.no_grad()
@one_thread()
def exactly_in_rows(scores: Tensor, keep: int, *, among: Tensor | None = None) -> Tensor:
    """Mark the ``keep`` highest scores of each row, exactly that many whatever the ties.

    Formula: mask[r, i] = (the number of j with s[r, j] > s[r, i], or equal and j < i) < keep.

    Args:
        scores: floating-point matrix (rows, members); higher keeps; infinities are fine.
        keep: how many to keep in each row, from 0 to members.
        among: bool matrix of the same shape; only True places are candidates. The others are never kept and their
            scores are not looked at. A row with fewer candidates keeps them all. Default: all are candidates.

    Returns:
        Bool matrix like the scores, True in min(keep, candidates) places of each row; ties go to the lower index.

    Raises:
        SettingError: ``keep`` is out of range, or ``among`` does not fit. ScoreError: a candidate is NaN (says where),
            or the scores are not a floating-point matrix.

    Use it for n:m sparsity and for every count that must hold in each of many equal sets; :func:`exactly` shares one
    count among all. Rows of 2, 4 or 8 members are compared in full (float32 on the CPU by
    a compiled kernel, where there is a compiler), others sorted, some ten times slower.

    Source: rank by counting, Knuth, The Art of Computer Programming, volume 3, section 5.2 (comparison counting).

    >>> exactly_in_rows(torch.tensor([[3.0, 1.0, 2.0, 4.0], [5.0, 5.0, 5.0, 5.0]]), keep=2)
    tensor([[ True, False, False,  True],
            [ True,  True, False, False]])
    """
    rows, alive = _checked(scores, keep, among)
    mask = torch.empty(rows.shape, dtype=torch.bool, device=rows.device)
    if mask.numel() and not _natively(mask, rows, keep, alive):
        size = max(1, (CHUNK if rows.is_cpu else DEVICE_WORK) // rows.shape[1])
        room = torch.empty((2, min(size, len(rows)) * rows.shape[1]), dtype=torch.bool, device=rows.device)
        for start in range(0, len(rows), size):
            part = slice(start, start + size)
            _rank_(mask[part], rows[part], keep, None if alive is None else alive[part], room, start)
    return spread_like(mask, scores)


def exactly_along(mask: Tensor, weight: Tensor, keep: int, size: int, flags: Tensor | None) -> bool:
    """Mark the ``keep`` largest |w| of each ``size`` neighbours along dimension 1, where a kernel can; else say False.

    Args:
        mask: bool tensor (out, in, ...) like the weight, written.
        weight: tensor whose dimension 1 is a multiple of ``size``.
        keep: how many to keep in each set, fewer where fewer are alive.
        size: of a set.
        flags: which places are alive (zero: dead), of the same shape, or None for all.

    Raises:
        ScoreError: a living weight is NaN.

    >>> mask = torch.zeros(1, 4, dtype=torch.bool)
    >>> done = exactly_along(mask, torch.tensor([[1.0, -3.0, 2.0, 0.0]]), 2, 4, None)
    >>> mask.tolist() == [[False, True, True, False]] or not done
    True
    """
    apart = math.prod(weight.shape[2:])
    able = ranking.can_walk(weight, torch.float32) and ranking.can_walk_flags(flags) and mask.is_contiguous()
    if not able or size not in ranking.SIZES or not 1 <= apart <= ranking.LANES:
        return False
    if ranking.rank(mask, weight, keep, flags, size, apart=apart, absolute=True):
        place = int((weight.isnan() if flags is None else weight.isnan() & (flags != 0)).reshape(-1).nonzero()[0])
        raise ScoreError(f"the weight of shape {tuple(weight.shape)} is NaN at flat index {place}; {DIVERGED}")
    return True


def _checked(scores: Tensor, keep: int, among: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Refuse what cannot be ranked row by row."""
    require_count("keep", keep, 0)
    if not scores.is_floating_point() or scores.ndim != 2:
        raise ScoreError(f"scores are {scores.dtype} of shape {tuple(scores.shape)}, expected a floating-point matrix")
    if keep > scores.shape[1]:
        raise SettingError(f"keep is {keep}, but a row has only {scores.shape[1]} members")
    if among is not None and (among.dtype != torch.bool or among.shape != scores.shape):
        wanted = f"torch.bool of shape {tuple(scores.shape)} like the scores"
        raise SettingError(f"among is {among.dtype} of shape {tuple(among.shape)}, expected {wanted}")
    return gathered(scores), None if among is None else gathered(among)


def _natively(mask: Tensor, rows: Tensor, keep: int, alive: Tensor | None) -> bool:
    """Write the mask by a compiled kernel and say so; where there is none for these rows do nothing."""
    fits = rows.shape[1] in ranking.SIZES and ranking.can_walk(rows, torch.float32)
    if not fits or not ranking.can_walk_flags(alive):
        return False
    if ranking.rank(mask, rows, keep, alive, rows.shape[1]):
        raise _nan_found(rows if alive is None else rows.where(alive, 0.0))
    return True


def _nan_found(values: Tensor, first: int = 0) -> ScoreError:
    """Name the first NaN of a piece whose first row is number ``first`` of all."""
    row, place = (int(part) for part in values.isnan().nonzero()[0])
    return ScoreError(f"scores[{first + row}, {place}] is NaN; {DIVERGED}")


def _rank_(out: Tensor, scores: Tensor, keep: int, alive: Tensor | None, room: Tensor, first: int) -> None:
    """Write the mask of one piece, whose first row is number ``first`` of all; ``room`` is two pieces to write into."""
    values = (scores if scores.dtype in FLOATS else scores.float()).contiguous()
    sunken = alive is not None and not values.amin() > -torch.inf and bool((alive & (values == -torch.inf)).any())
    if alive is not None:
        values = _buried(values, alive)
    if values.sum().isnan() and values.isnan().any():  # the sum is cheap, but +inf and -inf give NaN as well
        raise _nan_found(values, first)
    if values.shape[1] in WORD and values.shape[1] > 1 and not sunken:
        _count_wins_(out, values, keep, room)
    else:
        _sort_(out, values, keep, alive)
    if alive is not None:
        out &= alive


def _buried(values: Tensor, alive: Tensor) -> Tensor:
    """Return the values with those of the dead replaced by -inf, by bits: NaN goes as well, and nothing branches."""
    word = WORD[values.element_size()]
    bottom = int(torch.tensor(-torch.inf, dtype=values.dtype).view(word))
    bits = values.view(word)
    differing = (bits ^ bottom).bitwise_and_(alive.to(word).sub_(1))
    return differing.bitwise_xor_(bits).view(values.dtype)


def _count_wins_(out: Tensor, values: Tensor, keep: int, room: Tensor) -> None:
    """Write the mask of short rows: byte i of ``wins`` counts whom entry i beats, plus what lifts enough to bit 7."""
    members = values.shape[1]
    word, flat = WORD[members], values.view(-1)
    ahead, pairs = room[0, : len(flat)], room[1, : len(flat)].view(word)
    at_least, line, line_ahead = _comparison(flat, ahead)
    ahead, wins = ahead.view(word), out.view(-1).view(word)
    for shift, inside in enumerate(_insides(members), start=1):
        at_least(line[:-shift], line[shift:], out=line_ahead[:-shift])
        torch.bitwise_and(ahead, inside, out=pairs)
        if shift == 1:
            torch.add(_bytes([i + 128 - members + keep for i in range(members)]), pairs, alpha=1 - 256, out=wins)
        else:
            wins.add_(pairs, alpha=1 - (1 << 8 * shift))  # where entry i wins, entry i + shift does not
    wins.bitwise_right_shift_(7).bitwise_and_(_bytes([1] * members))


def _comparison(flat: Tensor, ahead: Tensor) -> tuple[Any, Any, Any]:
    """Return >= and what it reads and writes; NumPy's is seven times faster than torch's on the CPU."""
    return (np.greater_equal, flat.numpy(), ahead.numpy()) if flat.is_cpu else (torch.ge, flat, ahead)


@cache
def _insides(members: int) -> tuple[int, ...]:
    """Return, for each shift from 1, the bytes of the entries whose partner lies in the same row."""
    return tuple(_bytes([int(i + shift < members) for i in range(members)]) for shift in range(1, members))


def _bytes(values: list[int]) -> int:
    """Put small numbers into the bytes of one signed integer, first into the lowest."""
    return _wrap(sum(value << 8 * i for i, value in enumerate(values)), len(values))


def _wrap(value: int, size: int) -> int:
    """Return what ``size`` bytes hold of a whole number, signed."""
    return (value + (1 << 8 * size - 1)) % (1 << 8 * size) - (1 << 8 * size - 1)


def _sort_(out: Tensor, values: Tensor, keep: int, alive: Tensor | None) -> None:
    """Write the mask of rows of any length: stable sorts, first by score, then the living before the dead."""
    order = values.sort(dim=1, descending=True, stable=True).indices
    if alive is not None:
        living_first = alive.gather(1, order).byte().sort(dim=1, descending=True, stable=True).indices
        order = order.gather(1, living_first)
    out.zero_().scatter_(1, order[:, :keep], True)
