"""Score, rank and mark at the speed of reading memory: the kernels behind selection."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from ctypes import c_float, c_int
from functools import cache
from typing import Any

import torch
from torch import Tensor

from prunus._native.clearing import require_memory
from prunus._native.library import COUNT, POINTER, available, library

Grid = tuple[int, int, int]
"""(outer, groups, inner): entry [o, g, i] of the memory belongs to group g."""
SIZES = (2, 4, 8)
"""Sizes of the sets that :func:`rank` can rank."""
LANES = 16
"""How far apart the entries of a set may lie."""
SIGNATURES: dict[str, tuple[Any, ...]] = {
    "prunus_any": (POINTER, POINTER, COUNT, COUNT, COUNT),
    "prunus_drop": (POINTER, POINTER, COUNT, c_float, COUNT, c_float),
    "prunus_edge": (POINTER, COUNT, COUNT, POINTER, POINTER),
    "prunus_group_sums": (POINTER, POINTER, COUNT, COUNT, COUNT, c_int),
    "prunus_lower": (POINTER, POINTER, POINTER, COUNT, c_int, c_int),
    "prunus_mark": (POINTER, POINTER, POINTER, COUNT, c_float, COUNT, c_int),
    "prunus_rank": (POINTER, POINTER, POINTER, COUNT, COUNT, COUNT, COUNT, c_int),
    "prunus_repeat": (POINTER, POINTER, COUNT, COUNT, COUNT),
    "prunus_sums": (POINTER, POINTER, COUNT, COUNT),
    "prunus_upper": (POINTER, POINTER, POINTER, COUNT, c_int),
    "prunus_zero": (POINTER, POINTER, COUNT, COUNT, COUNT, COUNT),
}


def can_walk(tensor: Tensor, *dtypes: torch.dtype) -> bool:
    """Say whether a kernel may walk this memory: plain, contiguous, on the CPU, of one of these dtypes.

    >>> can_walk(torch.zeros(4, 2).T, torch.float32), can_walk(torch.zeros(4), torch.float64)
    (False, False)
    """
    plain = tensor.is_cpu and type(tensor) in (Tensor, torch.nn.Parameter) and tensor.is_contiguous()
    if not plain or tensor.is_neg() or tensor.dtype not in dtypes or not available():
        return False
    require_memory([tensor], "tensor")
    return tensor.data_ptr() % tensor.element_size() == 0


def can_walk_flags(flags: Tensor | None) -> bool:
    """Say the same of bytes that are zero or not; None, which stands for no mask, is fine.

    >>> can_walk_flags(None), can_walk_flags(torch.zeros(4))
    (True, False)
    """
    return flags is None or can_walk(flags, torch.bool, torch.int8)


def group_sums(values: Tensor, grid: Grid, *, square: bool = False) -> Tensor:
    """Return the sum of the absolute values (or squares) of each group, added up in float64.

    A square may be too large for float32, so squares are returned as float64.
    """
    outer, groups, inner = grid
    if outer == 1 and not square:
        small = torch.empty(groups)
        _kernel("prunus_sums")(small.data_ptr(), values.data_ptr(), groups, inner)
        return small
    sums = torch.zeros(groups, dtype=torch.float64)
    _kernel("prunus_group_sums")(sums.data_ptr(), values.data_ptr(), *grid, square)
    return sums


def repeat(flags: Tensor, grid: Grid, shape: tuple[int, ...]) -> Tensor:
    """Return a bool tensor of ``shape`` with the flag of its group at each place."""
    out = torch.empty(shape, dtype=torch.bool)
    _kernel("prunus_repeat")(out.data_ptr(), flags.data_ptr(), *grid)
    return out


def any_in_groups(mask: Tensor, grid: Grid) -> Tensor:
    """Say for each group whether any of its places is True."""
    found = torch.zeros(grid[1], dtype=torch.bool)
    _kernel("prunus_any")(found.data_ptr(), mask.data_ptr(), *grid)
    return found


def zero_groups_(tensor: Tensor, alive: Tensor, grid: Grid) -> None:
    """Set the places of the groups that are not alive to zero, whatever the dtype; nothing else is touched."""
    _kernel("prunus_zero")(tensor.data_ptr(), alive.data_ptr(), *grid, tensor.element_size())


def rank(
    kept: Tensor, scores: Tensor, keep: int, alive: Tensor | None, size: int, *, apart: int = 1, absolute: bool = False
) -> bool:
    """Mark the ``keep`` largest of each set of ``size`` (2, 4 or 8) entries; say whether a candidate is NaN.

    The entries of a set lie ``apart`` (1 to 16) in memory: sets run along the middle of [outer, size, apart].
    ``absolute`` ranks by absolute value.
    """
    sizes = (scores.numel(), size, apart, keep, absolute)
    return bool(_kernel("prunus_rank")(kept.data_ptr(), scores.data_ptr(), _address(alive), *sizes))


def count_upper(counts: Tensor, scores: Tensor, alive: Tensor | None, *, absolute: bool = False) -> bool:
    """Add the candidates to 65,536 counts by the upper half of their ordered bits; say whether one is NaN.

    ``absolute`` takes their absolute values, here and in the two steps that follow.
    """
    kernel = _kernel("prunus_upper")
    return bool(kernel(counts.data_ptr(), scores.data_ptr(), _address(alive), scores.numel(), absolute))


def count_lower(counts: Tensor, scores: Tensor, alive: Tensor | None, upper: int, *, absolute: bool = False) -> None:
    """Add the candidates whose upper half is ``upper`` to 65,536 counts by the lower half."""
    kernel = _kernel("prunus_lower")
    kernel(counts.data_ptr(), scores.data_ptr(), _address(alive), scores.numel(), upper, absolute)


def mark_above(
    kept: Tensor, scores: Tensor, alive: Tensor | None, value: float, spare: int, *, absolute: bool = False
) -> int:
    """Mark the candidates above ``value`` and the first ``spare`` equal to it; return how many are left to mark."""
    kernel, size = _kernel("prunus_mark"), scores.numel()
    return int(kernel(kept.data_ptr(), scores.data_ptr(), _address(alive), size, value, spare, absolute))


def edge(weights: Sequence[Tensor], keep: int) -> tuple[int, float, int]:
    """Return how many are not zero, the largest size that has to go for ``keep`` to be left, and how many of it stay.

    Fewer than none stay where an entry is NaN (-1) or memory is short (-2); nothing has to go where ``keep`` are left.
    """
    rows = array("q", [field for weight in weights for field in (weight.data_ptr(), weight.numel())])
    alive, size = array("q", [0]), array("f", [0.0])
    found = (alive.buffer_info()[0], size.buffer_info()[0])
    stay = _kernel("prunus_edge")(rows.buffer_info()[0], len(weights), keep, *found)
    return alive[0], size[0], int(stay)


def drop_(weight: Tensor, dual: Tensor, size: float, stay: int, length: float) -> int:
    """Set what is not larger than ``size`` to zero, and move its dual to within ``length`` of zero.

    The first ``stay`` of that very size stay; returns how many are then left to stay.
    """
    kernel = _kernel("prunus_drop")
    left = kernel(weight.data_ptr(), dual.data_ptr(), weight.numel(), size, stay, length)
    torch.autograd.graph.increment_version([weight, dual])
    return int(left)


def _address(mask: Tensor | None) -> int | None:
    return None if mask is None else mask.data_ptr()


@cache
def _kernel(name: str) -> Any:
    kernel = getattr(library(), name)
    kernel.argtypes = SIGNATURES[name]
    kernel.restype = COUNT
    return kernel
