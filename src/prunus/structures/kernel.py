"""Kernel: the spatial filter between one input and one output channel."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from prunus.structures.base import Structure, dimension_misfit


@dataclass(frozen=True)
class Kernel(Structure):
    """Group a convolution weight (out, in, k...) by its (out, in) pairs: one spatial kernel each.

    Needs at least 3 dimensions, so it fits 1-D, 2-D and 3-D convolutions; a 1x1 kernel has one member and behaves as
    ``Element``. Bungert et al. (2022), section 4.4.

    >>> import torch
    >>> Kernel().split(torch.zeros(8, 3, 5, 5)).shape
    torch.Size([24, 25])
    """

    name: ClassVar[str] = "kernel"

    def misfit(self, shape: Sequence[int]) -> str | None:
        """Refuse fewer than 3 dimensions."""
        return dimension_misfit(shape, least=3, hint="Row takes a matrix")

    def _size(self, shape: Sequence[int]) -> tuple[int, int]:
        return shape[0] * shape[1], math.prod(shape[2:])
