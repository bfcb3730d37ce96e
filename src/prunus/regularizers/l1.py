"""RegL1: every weight pays its size, so single weights reach zero."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from prunus.regularizers.base import Regularizer, wide


@dataclass
class RegL1(Regularizer):
    r"""Charge the sum of absolute values; prox is the soft threshold.

    .. math:: J(x) = \lambda \sum_i |x_i|, \qquad
              \mathrm{prox}(x, \delta)_i = \mathrm{sign}(x_i) \max(|x_i| - \delta\lambda, 0)

    Args:
        lamda: strength, at least 0; with the Bregman optimizers, the size the dual must exceed before a weight lives.

    Shapes: any. Use it for unstructured sparsity; for whole neurons or kernels take RegL1L2, RegL1L2Conv or GroupLasso.
    Source: Bungert, Roith, Tenbrinck and Burger (2022), section 1.2; Tibshirani (1996).

    >>> reg = RegL1(0.5)
    >>> reg.prox(torch.tensor([2.0, -0.3, -1.0]))
    tensor([ 1.5000,  0.0000, -0.5000])
    >>> reg.lambda_max(torch.tensor([2.0, -0.3, -1.0]))
    2.0
    """

    name: ClassVar[str] = "l1"

    def __call__(self, x: Tensor) -> Tensor:
        """Return lamda times the sum of absolute values."""
        # Not vector_norm(ord=1): its fp32 sum drifts by half a percent at ten million entries.
        return self.lamda * x.abs().sum(dtype=wide(x.dtype))

    def prox(self, x: Tensor, delta: float = 1.0) -> Tensor:
        """Return the soft threshold of ``x`` at delta·lamda."""
        return soft_threshold(x, self.threshold(x.shape, delta))

    @torch.no_grad()
    def prox_(self, x: Tensor, delta: float = 1.0) -> Tensor:
        """Soft-threshold ``x`` in place, without a temporary."""
        return soft_threshold_(x, self.threshold(x.shape, delta))

    def sub_grad(self, v: Tensor) -> Tensor:
        """Return lamda·sign(v), 0 at 0."""
        return v.sign() * self.lamda


def soft_threshold(x: Tensor, threshold: float) -> Tensor:
    """Move every entry towards zero by ``threshold``, and to +0.0 when it is no larger.

    >>> soft_threshold(torch.tensor([3.0, -1.0, -3.0]), 2.0)
    tensor([ 1.,  0., -1.])
    """
    # softshrink leaves -0.0 for small negative entries; adding 0 makes it +0.0.
    return torch.nn.functional.softshrink(x, threshold).add_(0.0)


def soft_threshold_(x: Tensor, threshold: float) -> Tensor:
    """Soft-threshold ``x`` in place, any memory layout; two passes and no temporary.

    >>> soft_threshold_(torch.tensor([3.0, -1.0, -3.0]), 2.0)
    tensor([ 1.,  0., -1.])
    """
    torch.ops.aten.softshrink.out(x, threshold, out=x)
    return x.add_(0.0)
