"""How the groups of a regularizer lie in the memory of a weight."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from prunus.structures import Structure

Grid = tuple[int, int, int, int]


def memory_grid(structure: Structure, weight: Tensor) -> Grid | None:
    """Return (outer, between, groups, inner) where entry [o, b, g, i] of the memory belongs to group (o, g).

    None where the groups do not lie so regularly, or the memory has gaps.

    >>> from prunus.structures import Column, Kernel
    >>> memory_grid(Column(), torch.zeros(8, 5))
    (1, 8, 5, 1)
    >>> memory_grid(Kernel(), torch.zeros(8, 4, 3, 3).to(memory_format=torch.channels_last))
    (8, 9, 4, 1)
    >>> memory_grid(Kernel(), torch.zeros(8, 4, 3, 3))
    (32, 1, 1, 9)
    """
    shadow = torch.empty_strided(weight.shape, weight.stride(), device="meta")
    arranged = structure._arrange(shadow)
    if arranged is not shadow and arranged._base is not shadow:
        return None  # it had to be copied
    sides = _sides(arranged, structure.groups(weight.shape))
    return _aligned(sides) if sides is not None else None


def is_dense(weight: Tensor) -> bool:
    """Say whether a tensor fills its memory without gaps or overlaps, in whatever order.

    >>> is_dense(torch.zeros(3, 2).t()), is_dense(torch.zeros(3, 2)[:, 0])
    (True, False)
    """
    return weight.is_contiguous() or torch.empty_like(weight, device="meta").stride() == weight.stride()


def _sides(arranged: Tensor, groups: int) -> list[tuple[bool, int]] | None:
    """Return (whether it counts groups, length) of the sides of a weight arranged by groups, in memory order."""
    sides, count = [], 1
    for length, stride in zip(arranged.shape, arranged.stride(), strict=True):
        if length != 1:
            sides.append((stride, count < groups, length))
            count *= length
    sides.sort(reverse=True)
    lengths = [length for _, _, length in sides]
    dense = all(stride == math.prod(lengths[place + 1 :]) for place, (stride, _, _) in enumerate(sides))
    return [(tells, length) for _, tells, length in sides] if dense else None


def _aligned(sides: Sequence[tuple[bool, int]]) -> Grid | None:
    """Fit the sides, from the innermost on, into (outer, between, groups, inner), where every other counts groups."""
    grid, place = [1, 1, 1, 1], 3
    for tells, length in reversed(sides):
        while place >= 0 and (place % 2 == 0) != tells:
            place -= 1
        if place < 0:
            return None
        grid[place] *= length
    outer, between, groups, inner = grid
    return (outer * groups, 1, 1, inner) if between == 1 else (outer, between, groups, inner)
