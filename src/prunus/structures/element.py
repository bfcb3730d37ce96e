"""Element: every weight on its own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from prunus.structures.base import Structure


@dataclass(frozen=True)
class Element(Structure):
    """Let every entry live or die alone: unstructured sparsity.

    Fits every shape, also 1-D and 0-D. Use it for the highest sparsity at a given accuracy; for speed on ordinary
    hardware use ``Filter`` or ``Channel``, whose groups can be removed. Han et al. (2015), section 3.

    >>> import torch
    >>> Element().split(torch.tensor([[1.0, 2.0], [3.0, 4.0]])).shape
    torch.Size([4, 1])
    """

    name: ClassVar[str] = "element"

    def misfit(self, shape: Sequence[int]) -> str | None:
        """Accept every shape."""
        return None

    def _size(self, shape: Sequence[int]) -> tuple[int, int]:
        return math.prod(shape), 1
