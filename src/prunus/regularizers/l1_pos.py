"""RegL1Pos: every weight pays its size and none may be negative."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from prunus.regularizers.base import Regularizer, wide


@dataclass
class RegL1Pos(Regularizer):
    r"""Charge the sum of absolute values and keep only what is above the threshold: weights stay nonnegative.

    .. math:: J(x) = \lambda \sum_i |x_i|, \qquad \mathrm{prox}(x, \delta)_i = \max(x_i - \delta\lambda, 0)

    prox belongs to J on x ≥ 0 and infinity elsewhere; the value of a negative entry is the finite λ|x|, so that it
    can be logged and differentiated. The declared domain "nonnegative" says so: all identities hold there.

    Args:
        lamda: strength, at least 0; at 0 prox is the projection onto x ≥ 0.

    Shapes: any. Use it for weights that must not cancel, such as gates and mixing weights; elsewhere take RegL1.
    Source: Bungert, Roith, Tenbrinck and Burger (2022), reference implementation.

    >>> RegL1Pos(0.5).prox(torch.tensor([2.0, 0.3, -1.0]))
    tensor([1.5000, 0.0000, 0.0000])
    """

    name: ClassVar[str] = "l1_pos"
    domain: ClassVar[str] = "nonnegative"

    def __call__(self, x: Tensor) -> Tensor:
        """Return lamda times the sum of absolute values, also where ``x`` is negative."""
        return self.lamda * x.abs().sum(dtype=wide(x.dtype))

    def prox(self, x: Tensor, delta: float = 1.0) -> Tensor:
        """Return what of ``x`` exceeds delta·lamda."""
        return x.sub(self.threshold(x.shape, delta)).clamp_min(0.0)

    @torch.no_grad()
    def prox_(self, x: Tensor, delta: float = 1.0) -> Tensor:
        """Keep in place what of ``x`` exceeds delta·lamda, without a temporary."""
        return x.sub_(self.threshold(x.shape, delta)).clamp_min_(0.0)

    def sub_grad(self, v: Tensor) -> Tensor:
        """Return lamda·sign(v), 0 at 0."""
        return v.sign() * self.lamda

    def _largest_norm(self, x: Tensor) -> float:
        return float(x.detach().max())
