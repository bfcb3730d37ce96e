"""Distiller's Blocks: the shape that files write, and the structure that it means."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from prunus.errors import SettingError, require_count
from prunus.structures import Block, Structure
from prunus.structures.base import dimension_misfit


@dataclass(frozen=True)
class KernelBlock(Structure):
    """Group the same kernel position of ``kernels`` consecutive kernels of a weight (out, in, height, width).

    Kernels are counted over the inputs of the first filter, then of the second, and so on; groups may lie across the
    border of two filters.

    >>> import torch
    >>> KernelBlock(2).split(torch.arange(8).reshape(1, 2, 2, 2))
    tensor([[0, 4],
            [1, 5],
            [2, 6],
            [3, 7]])
    """

    name: ClassVar[str] = "kernel_block"

    kernels: int = 4

    def misfit(self, shape: Sequence[int]) -> str | None:
        """Refuse other than 4 dimensions, and kernels that do not divide."""
        if len(shape) != 4:
            return dimension_misfit(shape, least=4, most=4)
        left = shape[0] * shape[1] % self.kernels
        return f"{shape[0] * shape[1]} kernels do not divide by {self.kernels}, {left} left over" if left else None

    def grid(self, shape: Sequence[int]) -> tuple[int, int, int] | None:
        """Return None: positions of a group lie apart."""
        self.require(shape)
        return None

    def _size(self, shape: Sequence[int]) -> tuple[int, int]:
        return math.prod(shape) // self.kernels, self.kernels

    def _arrange(self, weight: Tensor) -> Tensor:
        return weight.reshape(-1, self.kernels, math.prod(weight.shape[2:])).transpose(1, 2)

    def _restore(self, groups: Tensor, shape: Sequence[int]) -> Tensor:
        return groups.reshape(-1, math.prod(shape[2:]), self.kernels).transpose(1, 2).reshape(tuple(shape))


@dataclass(frozen=True)
class BlockShape:
    """The ``kwargs`` of a ranked pruner whose group type is Blocks.

    Args:
        block_shape: [repetitions, depth, 1, 1]. With a depth above 1, repetitions·depth consecutive kernels share their
            fate, position by position, so that [2, 2, 1, 1] is [1, 4, 1, 1]; with a depth of 1, the same place of so
            many consecutive filters.

    Raises:
        SettingError: not four whole numbers of at least 1, or blocks with height or width.

    >>> BlockShape((1, 8, 1, 1)).structure
    KernelBlock(kernels=8)
    >>> BlockShape((4, 1, 1, 1)).structure
    Block(rows=4, cols=1)
    """

    block_shape: tuple[int, ...]

    def __post_init__(self) -> None:
        for side in self.block_shape:
            require_count("block_shape", side)
        if len(self.block_shape) != 4 or tuple(self.block_shape[2:]) != (1, 1):
            raise SettingError(f"block_shape is {list(self.block_shape)}, expected [repetitions, depth, 1, 1]")

    @property
    def structure(self) -> Structure:
        """The structure that the shape means."""
        repetitions, depth = self.block_shape[:2]
        return Block(repetitions, 1) if depth == 1 else KernelBlock(repetitions * depth)
