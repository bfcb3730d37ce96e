"""What every structure promises: a weight falls apart into groups, and the groups go back together bit for bit."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import ClassVar

import torch
from torch import Tensor

from prunus._native import ranking
from prunus._pieces import any_in_rows
from prunus.errors import StructureError


@dataclass(frozen=True)
class Structure(ABC):
    r"""Decide which entries of a weight live or die together.

    A structure cuts a weight into ``groups`` of equally many ``members``; every entry belongs to exactly one group.
    Criteria score the groups, regularizers charge them, masks keep or drop them. Groups and members are numbered in the
    logical (row-major) order of the weight, whatever its memory layout, so channels_last changes nothing.

    A member says three things: ``misfit`` (which shapes it refuses, and why), ``_size`` (how many groups of how many
    members) and, unless groups already lie one after the other, ``_arrange``, its inverse ``_restore`` and ``grid``.
    One that asks for a count inside small sets of groups, as n:m does, also says the ``budget`` (groups in a set, all
    of one output) and the ``level`` that it stands for.

    >>> from prunus.structures import Row
    >>> Row().groups((3, 5)), Row().members((3, 5))
    (3, 5)
    """

    name: ClassVar[str]

    @property
    def budget(self) -> int | None:
        """How many consecutive groups share one count; None, the rule, leaves the counts to the scope."""
        return None

    @property
    def level(self) -> float | None:
        """The only sparsity at which the structure is what it is called; None, the rule, is any."""
        return None

    @abstractmethod
    def misfit(self, shape: Sequence[int]) -> str | None:
        """Say why a tensor of this shape cannot be split, or return None when it can."""

    @abstractmethod
    def _size(self, shape: Sequence[int]) -> tuple[int, int]:
        """Return (groups, members) for a shape known to fit."""

    def _arrange(self, weight: Tensor) -> Tensor:
        """Permute the weight so that its entries come group by group; a view."""
        return weight

    def _restore(self, groups: Tensor, shape: Sequence[int]) -> Tensor:
        """Undo ``_arrange`` on a (groups, members) tensor."""
        return groups.reshape(tuple(shape))

    def require(self, shape: Sequence[int]) -> None:
        """Raise StructureError, naming the structure, the shape and the reason, unless the shape fits."""
        reason = self.misfit(shape)
        if reason is not None:
            raise StructureError(f"{self} cannot split a tensor of shape {tuple(shape)}: {reason}")

    def groups(self, shape: Sequence[int]) -> int:
        """Count the groups of a tensor of this shape."""
        self.require(shape)
        return self._size(shape)[0]

    def members(self, shape: Sequence[int]) -> int:
        """Count the entries of each group of a tensor of this shape."""
        self.require(shape)
        return self._size(shape)[1]

    def grid(self, shape: Sequence[int]) -> tuple[int, int, int] | None:
        """Return (outer, groups, inner) where entry [o, g, i] of the row-major weight, so viewed, belongs to group g.

        Kernels that walk the memory read it; None where groups do not lie so regularly.
        """
        self.require(shape)
        return (1, *self._size(shape))

    def split(self, weight: Tensor) -> Tensor:
        """Return the weight as (groups, members): differentiable, and a view where the memory layout allows one."""
        self.require(weight.shape)
        return self._arrange(weight).reshape(self._size(weight.shape))

    def join(self, groups: Tensor, shape: Sequence[int]) -> Tensor:
        """Put (groups, members) back into a tensor of ``shape``; the exact inverse of ``split``."""
        self.require(shape)
        if tuple(groups.shape) != self._size(shape):
            found, expected = tuple(groups.shape), self._size(shape)
            raise StructureError(f"{self} joins {expected} (groups, members) into {tuple(shape)}, but got {found}")
        return self._restore(groups, shape)

    def expand(self, per_group: Tensor, shape: Sequence[int]) -> Tensor:
        """Repeat one value a group over its members: (groups,) → ``shape``, contiguous, in memory of its own."""
        groups, members = self.groups(shape), self.members(shape)
        if tuple(per_group.shape) != (groups,):
            found = tuple(per_group.shape)
            raise StructureError(f"{self} has {groups} groups in {tuple(shape)}, but got values of shape {found}")
        grid = self.grid(shape)
        if grid is not None and ranking.can_walk(per_group, torch.bool):
            return ranking.repeat(per_group, grid, tuple(shape))
        full = self.join(per_group.unsqueeze(1).expand(groups, members), shape).contiguous()
        return full.clone() if members == 1 else full  # one value a place: join has only viewed them

    def any_in_groups(self, mask: Tensor) -> Tensor:
        """Say for each group of a mask (bool or bytes) whether any of its places is set: weight's shape → (groups,)."""
        grid = self.grid(mask.shape)
        if grid is not None and ranking.can_walk_flags(mask):
            return ranking.any_in_groups(mask, grid)
        return any_in_rows(self.split(mask))

    def settings(self) -> dict[str, str | int]:
        """Return plain values from which ``get_structure`` builds an equal structure."""
        return {"name": self.name, **{field.name: getattr(self, field.name) for field in fields(self)}}


def dimension_misfit(shape: Sequence[int], least: int, most: int | None = None, hint: str = "") -> str | None:
    """Say what is wrong with the number of dimensions, or return None.

    >>> dimension_misfit((8,), least=2)
    'it has 1 dimension, at least 2 are needed'
    >>> dimension_misfit((8, 3, 3, 3), least=2, most=2)
    'it has 4 dimensions, exactly 2 are needed'
    >>> dimension_misfit((8, 3), least=3, hint="Row takes a matrix")
    'it has 2 dimensions, at least 3 are needed; Row takes a matrix'
    """
    if least <= len(shape) <= (most or math.inf):
        return None
    found = f"{len(shape)} dimension" + ("" if len(shape) == 1 else "s")
    needed = f"{'exactly' if least == most else 'at least'} {least} are needed"
    return f"it has {found}, {needed}" + (f"; {hint}" if hint else "")
