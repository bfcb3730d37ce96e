"""n:m: of every m weights in a row, n stay."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from prunus.errors import SettingError, require_count
from prunus.structures.base import Structure, dimension_misfit


@dataclass(frozen=True)
class NM(Structure):
    r"""Let single weights live or die, but count in sets of ``m`` consecutive inputs, of which ``n`` stay.

    .. math:: \text{pruned of each set} = \lfloor s\,m \rfloor, \qquad s_\text{final} = 1 - n/m

    A set is m neighbours along the inputs (dim 1) at one output and one kernel position: weights are numbered in the
    order (out, kernel position, in). That is the dimension along which sparse tensor cores multiply and in which
    NVIDIA's ASP and TensorRT look for 2:4, also in convolutions. Needs at least 2 dimensions, and m must divide the
    inputs; nothing is padded. A ramp goes through 0, 1, ... pruned of each m.

    Args:
        n: how many of each set stay, from 1 to m - 1. Default 2.
        m: size of a set, at least 2. Default 4: the one pattern that GPUs run faster today.

    Raises:
        SettingError: n or m is not a whole number in its range.

    Use it for inference on GPUs with sparse tensor cores; at equal sparsity, ``Element`` loses less accuracy. Layers
    whose inputs do not divide, such as the first of an image model, have to be excluded. Mishra et al. 2021
    (arXiv:2104.08378), sections 3 and 4.

    >>> NM(2, 4).budget, NM(2, 4).level
    (4, 0.5)
    >>> NM().misfit((64, 3, 7, 7))
    '3 inputs do not divide into sets of 4, 3 left over'
    """

    name: ClassVar[str] = "n_m"

    n: int = 2
    m: int = 4

    def __post_init__(self) -> None:
        """Refuse sets in which nothing is, or nothing stays."""
        require_count("m", self.m, 2)
        require_count("n", self.n)
        if self.n >= self.m:
            raise SettingError(f"n is {self.n} and m is {self.m}, expected n below m: n of each m weights stay")

    @property
    def budget(self) -> int:
        """The size of a set, m."""
        return self.m

    @property
    def level(self) -> float:
        """The sparsity of n:m, 1 - n/m."""
        return 1 - self.n / self.m

    def misfit(self, shape: Sequence[int]) -> str | None:
        """Refuse fewer than 2 dimensions, and inputs that do not divide into sets of m."""
        if flat := dimension_misfit(shape, least=2):
            return flat
        left = shape[1] % self.m
        return f"{shape[1]} inputs do not divide into sets of {self.m}, {left} left over" if left else None

    def grid(self, shape: Sequence[int]) -> tuple[int, int, int] | None:
        """Return that of single weights for a matrix, None for convolutions, whose weights are numbered otherwise."""
        numbered = super().grid(shape)
        return numbered if len(shape) == 2 else None

    def _size(self, shape: Sequence[int]) -> tuple[int, int]:
        return math.prod(shape), 1

    def _arrange(self, weight: Tensor) -> Tensor:
        return weight.movedim(1, -1)

    def _restore(self, groups: Tensor, shape: Sequence[int]) -> Tensor:
        out, inputs, *kernel = shape
        return groups.reshape(out, *kernel, inputs).movedim(-1, 1)
