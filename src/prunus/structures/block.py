"""Block: rectangular tiles of the weight seen as a matrix."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from prunus.errors import require_count
from prunus.structures.base import Structure, dimension_misfit


@dataclass(frozen=True)
class Block(Structure):
    """Tile the weight, seen as a matrix (out, everything else), with blocks of ``rows`` by ``cols``.

    Needs at least 2 dimensions, and both sides of the matrix must divide; nothing is padded. Tiles are numbered left to
    right, then downwards. Use it where block-sparse kernels exist. Gray, Radford and Kingma (2017).

    Args:
        rows: height of a tile in outputs, at least 1.
        cols: width of a tile in flattened inputs, at least 1.

    Raises:
        SettingError: rows or cols is not a whole number of at least 1.

    >>> import torch
    >>> Block(rows=1, cols=2).split(torch.arange(8).reshape(2, 4))
    tensor([[0, 1],
            [2, 3],
            [4, 5],
            [6, 7]])
    >>> Block(4, 4).misfit((10, 8))
    '10 rows do not divide into tiles of 4, 2 left over'
    """

    name: ClassVar[str] = "block"

    rows: int = 4
    cols: int = 4

    def __post_init__(self) -> None:
        require_count("rows", self.rows)
        require_count("cols", self.cols)

    def misfit(self, shape: Sequence[int]) -> str | None:
        """Refuse fewer than 2 dimensions and sides that do not divide, saying what is left over."""
        if flat := dimension_misfit(shape, least=2):
            return flat
        sides = (("rows", shape[0], self.rows), ("columns", math.prod(shape[1:]), self.cols))
        faults = [
            f"{length} {side} do not divide into tiles of {tile}, {length % tile} left over"
            for side, length, tile in sides
            if length % tile
        ]
        return "; ".join(faults) or None

    def _grid(self, shape: Sequence[int]) -> tuple[int, int]:
        return shape[0] // self.rows, math.prod(shape[1:]) // self.cols

    def grid(self, shape: Sequence[int]) -> tuple[int, int, int] | None:
        """Return None: tiles lie across the rows."""
        self.require(shape)
        return None

    def _size(self, shape: Sequence[int]) -> tuple[int, int]:
        return math.prod(self._grid(shape)), self.rows * self.cols

    def _arrange(self, weight: Tensor) -> Tensor:
        down, across = self._grid(weight.shape)
        return weight.reshape(down, self.rows, across, self.cols).transpose(1, 2)

    def _restore(self, groups: Tensor, shape: Sequence[int]) -> Tensor:
        down, across = self._grid(shape)
        return groups.reshape(down, across, self.rows, self.cols).transpose(1, 2).reshape(tuple(shape))
