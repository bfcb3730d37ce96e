"""RegL1L2: each row of a matrix pays its length, so whole neurons reach zero."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from prunus.regularizers.grouped import GroupRegularizer
from prunus.structures import Row, Structure


@dataclass
class RegL1L2(GroupRegularizer):
    r"""Charge the length of every row of a matrix (out, in): all weights into one neuron reach zero together.

    .. math:: J(x) = \lambda \sqrt{n} \sum_i \lVert x_{i,:} \rVert_2, \qquad n = \text{number of columns}

    Args:
        lamda: strength, at least 0.

    Shapes: matrices; vectors and scalars (biases) are left alone; convolutions raise StructureError, because rows mean
    nothing there: take RegL1L2Conv or GroupLasso. Source: Bungert et al. (2022), equation 1.14; Yuan and Lin (2006).

    >>> import torch
    >>> RegL1L2(0.5).prox(torch.tensor([[3.0, 4.0], [0.3, 0.4]]))
    tensor([[2.5757, 3.4343],
            [0.0000, 0.0000]])
    """

    name: ClassVar[str] = "l1_l2"

    @property
    def structure(self) -> Structure:
        """Rows of a matrix."""
        return Row()

    def price(self, shape: Sequence[int]) -> float:
        """Return the root of the row length; 0 below 2 dimensions."""
        return 0.0 if len(shape) < 2 else super().price(shape)
