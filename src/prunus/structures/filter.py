"""Filter: everything that makes one output channel."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from prunus.structures.base import Structure, dimension_misfit


@dataclass(frozen=True)
class Filter(Structure):
    """Group a weight (out, in, ...) along dimension 0: all entries that make one output channel.

    Needs at least 2 dimensions. A dead filter can be removed together with its consumers' inputs. A transposed
    convolution keeps its outputs in dimension 1: use ``Channel`` there. Li et al. (2017), section 3.1.

    >>> import torch
    >>> Filter().split(torch.zeros(8, 3, 5, 5)).shape
    torch.Size([8, 75])
    """

    name: ClassVar[str] = "filter"

    def misfit(self, shape: Sequence[int]) -> str | None:
        """Refuse fewer than 2 dimensions."""
        return dimension_misfit(shape, least=2)

    def _size(self, shape: Sequence[int]) -> tuple[int, int]:
        return shape[0], math.prod(shape[1:])
