"""Row: the weights into one output neuron of a matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from prunus.structures.base import Structure, dimension_misfit


@dataclass(frozen=True)
class Row(Structure):
    """Group a matrix (out, in) by its rows: all weights into one output neuron.

    Needs exactly 2 dimensions, so a convolution in the wrong place is refused rather than cut along a strange axis; use
    ``Filter`` for the same idea in every dimension. Bungert et al. (2022), equation 1.14.

    >>> import torch
    >>> Row().split(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([[1., 2.],
            [3., 4.]])
    """

    name: ClassVar[str] = "row"

    def misfit(self, shape: Sequence[int]) -> str | None:
        """Refuse everything but 2 dimensions."""
        return dimension_misfit(shape, least=2, most=2, hint="Filter takes more")

    def _size(self, shape: Sequence[int]) -> tuple[int, int]:
        return shape[0], shape[1]
