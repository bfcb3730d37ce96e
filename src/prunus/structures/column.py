"""Column: the weights that leave one input of a matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from prunus.structures.base import Structure, dimension_misfit


@dataclass(frozen=True)
class Column(Structure):
    """Group a matrix (out, in) by its columns: all weights that leave one input.

    Needs exactly 2 dimensions; use ``Channel`` for the same idea in every dimension. A dead column is an unused input
    feature, so this selects features. Wen et al. (2016), section 3.2.

    >>> import torch
    >>> Column().split(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([[1., 3.],
            [2., 4.]])
    """

    name: ClassVar[str] = "column"

    def misfit(self, shape: Sequence[int]) -> str | None:
        """Refuse everything but 2 dimensions."""
        return dimension_misfit(shape, least=2, most=2, hint="Channel takes more")

    def grid(self, shape: Sequence[int]) -> tuple[int, int, int] | None:
        """Return the rows, the columns, and 1."""
        self.require(shape)
        return shape[0], shape[1], 1

    def _size(self, shape: Sequence[int]) -> tuple[int, int]:
        return shape[1], shape[0]

    def _arrange(self, weight: Tensor) -> Tensor:
        return weight.t()

    def _restore(self, groups: Tensor, shape: Sequence[int]) -> Tensor:
        return groups.t()
