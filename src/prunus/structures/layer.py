"""Layer: the whole tensor as one group."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from prunus.structures.base import Structure


@dataclass(frozen=True)
class Layer(Structure):
    """Let the whole tensor live or die as one: one group with every entry.

    Fits every shape. Use it to drop whole layers that a residual connection can bridge; elsewhere it disconnects the
    network. Wen et al. (2016), section 3.2, depth-wise structured sparsity.

    >>> import torch
    >>> Layer().split(torch.ones(2, 3)).shape
    torch.Size([1, 6])
    """

    name: ClassVar[str] = "layer"

    def misfit(self, shape: Sequence[int]) -> str | None:
        """Accept every shape."""
        return None

    def _size(self, shape: Sequence[int]) -> tuple[int, int]:
        return 1, math.prod(shape)
