"""The maths of group norms, and the shell that the group regularizers share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from prunus.regularizers.base import Regularizer, wide, zero_value
from prunus.regularizers.l1 import soft_threshold, soft_threshold_

LARGE_GROUP = 2**17


@dataclass
class GroupRegularizer(Regularizer):
    r"""Charge every group its length times the root of its size; a member says which groups.

    .. math:: J(x) = \lambda \sqrt{n} \sum_g \lVert x_g \rVert_2, \qquad
              \mathrm{prox}(x, \delta)_g = x_g \max\!\left(0, 1 - \frac{\delta\lambda\sqrt{n}}{\lVert x_g \rVert}\right)

    >>> from prunus.regularizers import GroupLasso
    >>> GroupLasso(0.5).price((8, 3, 3, 3)) ** 2
    27.0
    """

    def __call__(self, x: Tensor) -> Tensor:
        """Return the charge for all groups; the gradient is 0 at zero groups."""
        if self.ignores(x.shape):
            return zero_value(x)
        return self.radius(x.shape) * group_norms(self.structure.split(x)).sum()

    def prox(self, x: Tensor, delta: float = 1.0) -> Tensor:
        """Shorten every group by delta·lamda·√n; groups no longer than that become zero."""
        threshold = self.threshold(x.shape, delta)
        if threshold == 0.0:
            return x.clone()
        if self.structure.members(x.shape) == 1:
            return soft_threshold(x, threshold)
        return (x * self._factors(x, threshold)).to(x.dtype).add_(0.0)

    @torch.no_grad()
    def prox_(self, x: Tensor, delta: float = 1.0) -> Tensor:
        """Shorten every group of ``x`` in place; the only temporary is one factor a group."""
        threshold = self.threshold(x.shape, delta)
        if threshold == 0.0:
            return x
        if self.structure.members(x.shape) == 1:
            return soft_threshold_(x, threshold)
        return x.mul_(self._factors(x, threshold)).add_(0.0)

    def sub_grad(self, v: Tensor) -> Tensor:
        """Return lamda·√n times the unit vector of every group, 0 at zero groups."""
        if self.ignores(v.shape):
            return torch.zeros_like(v)
        norms = group_norms(self.structure.split(v))
        return (v * self._spread(self.radius(v.shape) * inverse_or_zero(norms), v.shape)).to(v.dtype)

    def price(self, shape: Sequence[int]) -> float:
        """Return √n, the root of the number of members a group."""
        return float(self.structure.members(shape) ** 0.5)

    def _factors(self, x: Tensor, threshold: float) -> Tensor:
        return self._spread(shrink_factors(group_norms(self.structure.split(x)), threshold), x.shape)

    def _spread(self, per_group: Tensor, shape: Sequence[int]) -> Tensor:
        """Repeat one value a group over its members as a view, so that no full-size tensor is made."""
        members = self.structure.members(shape)
        return self.structure.join(per_group.unsqueeze(1).expand(-1, members), shape)

    def _largest_norm(self, x: Tensor) -> float:
        norms = x.abs() if self.ignores(x.shape) else group_norms(self.structure.split(x))
        return float(norms.detach().max())


def group_norms(groups: Tensor) -> Tensor:
    """Return the Euclidean norm of each row of (groups, members), at least in fp32.

    >>> group_norms(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
    tensor([5., 0.])
    """
    # The CPU kernel adds in order: past a hundred thousand members fp32 is no longer good to six digits.
    dtype = torch.float64 if groups.shape[1] > LARGE_GROUP else wide(groups.dtype)
    # Columns and channels lie across the memory, where vector_norm takes 10 to 50 times as long as a sum of squares.
    if 1 <= groups.stride(0) < groups.stride(1):
        return _root(groups.to(dtype).square().sum(dim=1)).to(wide(groups.dtype))
    norms: Tensor = torch.linalg.vector_norm(groups, dim=1, dtype=dtype)
    return norms.to(wide(groups.dtype))


def _root(squares: Tensor) -> Tensor:
    """Return the square root, with gradient 0 instead of NaN at 0."""
    nothing = squares == 0.0
    return squares.masked_fill(nothing, 1.0).sqrt().masked_fill(nothing, 0.0)


def shrink_factors(norms: Tensor, threshold: float) -> Tensor:
    """Return max(0, 1 - threshold/norm), exactly 0 wherever norm ≤ threshold, a zero norm included; threshold > 0.

    >>> shrink_factors(torch.tensor([4.0, 1.0, 0.0]), 1.0)
    tensor([0.7500, 0.0000, 0.0000])
    """
    # Raising short norms to the threshold makes the quotient exactly 1 and never divides by zero; the explicit division
    # matters, since threshold / tensor multiplies by a rounded reciprocal.
    return 1.0 - torch.div(norms.new_full((), threshold), norms.clamp_min(threshold))


def inverse_or_zero(norms: Tensor) -> Tensor:
    """Return 1/norm, and 0 where the norm is 0.

    >>> inverse_or_zero(torch.tensor([4.0, 0.0]))
    tensor([0.2500, 0.0000])
    """
    return torch.where(norms == 0.0, 0.0, norms.reciprocal())
