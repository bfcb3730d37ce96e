"""Channel: everything that reads one input channel."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from prunus.structures.base import Structure, dimension_misfit


@dataclass(frozen=True)
class Channel(Structure):
    """Group a weight (out, in, ...) along dimension 1: all entries that read one input channel.

    Needs at least 2 dimensions. In a grouped convolution dimension 1 counts channels inside a group, so one structure
    group spans one input channel of every convolution group. He, Zhang and Sun (2017), section 3.1.

    >>> import torch
    >>> Channel().split(torch.zeros(8, 3, 5, 5)).shape
    torch.Size([3, 200])
    """

    name: ClassVar[str] = "channel"

    def misfit(self, shape: Sequence[int]) -> str | None:
        """Refuse fewer than 2 dimensions."""
        return dimension_misfit(shape, least=2)

    def grid(self, shape: Sequence[int]) -> tuple[int, int, int] | None:
        """Return the outputs, the inputs, and the size of a kernel."""
        self.require(shape)
        return shape[0], shape[1], math.prod(shape[2:])

    def _size(self, shape: Sequence[int]) -> tuple[int, int]:
        return shape[1], shape[0] * math.prod(shape[2:])

    def _arrange(self, weight: Tensor) -> Tensor:
        return weight.transpose(0, 1)

    def _restore(self, groups: Tensor, shape: Sequence[int]) -> Tensor:
        return groups.reshape(shape[1], shape[0], *shape[2:]).transpose(0, 1)
