"""RegL1L2Conv: each kernel of a convolution pays its length, so whole kernels reach zero."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from prunus.regularizers.grouped import GroupRegularizer
from prunus.structures import Kernel, Structure


@dataclass
class RegL1L2Conv(GroupRegularizer):
    r"""Charge the length of every kernel, one (out, in) pair of a convolution: its taps reach zero together.

    .. math:: J(x) = \lambda \sqrt{n} \sum_{o, i} \lVert x_{o,i,:} \rVert_2, \qquad n = \text{taps of a kernel}

    Args:
        lamda: strength, at least 0.

    Shapes: (out, in, k...) of 1-D, 2-D and 3-D convolutions, in any memory layout; vectors and scalars (biases) are
    left alone; matrices raise StructureError: take RegL1L2. With 1x1 kernels it equals RegL1. Whole output channels
    need GroupLasso with Filter. Source: Bungert, Roith, Tenbrinck and Burger (2022), section 4.4.

    >>> import torch
    >>> RegL1L2Conv(0.5).prox(torch.tensor([[[3.0, 4.0], [0.3, 0.4]]]))
    tensor([[[2.5757, 3.4343],
             [0.0000, 0.0000]]])
    """

    name: ClassVar[str] = "l1_l2_conv"

    @property
    def structure(self) -> Structure:
        """Kernels, one an (out, in) pair."""
        return Kernel()

    def price(self, shape: Sequence[int]) -> float:
        """Return the root of the number of taps; 0 below 2 dimensions."""
        return 0.0 if len(shape) < 2 else super().price(shape)
