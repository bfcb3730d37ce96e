"""RegNone: charge nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from prunus.regularizers.base import Regularizer, zero_value


@dataclass
class RegNone(Regularizer):
    r"""Leave the weight alone: :math:`J(x) = 0`, prox is the identity.

    ``lamda`` is kept, so that a scheduler may set it, but does nothing. With it the Bregman optimizers become their
    ordinary selves (AdaBreg is Adam). Use it for biases and normalisation layers.

    >>> import torch
    >>> RegNone().prox(torch.tensor([0.1, -2.0]))
    tensor([ 0.1000, -2.0000])
    """

    name: ClassVar[str] = "none"

    def __call__(self, x: Tensor) -> Tensor:
        """Return 0."""
        return zero_value(x)

    def prox(self, x: Tensor, delta: float = 1.0) -> Tensor:
        """Return a copy of ``x``."""
        self.threshold(x.shape, delta)
        return x.clone()

    def prox_(self, x: Tensor, delta: float = 1.0) -> Tensor:
        """Return ``x`` untouched."""
        self.threshold(x.shape, delta)
        return x

    def sub_grad(self, v: Tensor) -> Tensor:
        """Return zeros."""
        return torch.zeros_like(v)

    def price(self, shape: Sequence[int]) -> float:
        """Charge nothing for any shape."""
        return 0.0
