"""Magnitude: small weights matter little."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from prunus._native import ranking
from prunus._pieces import CHUNK
from prunus.criteria.base import Criterion, widen
from prunus.errors import require_number
from prunus.structures import Structure


def group_norm(groups: Tensor, p: float, *, average: bool = False) -> Tensor:
    """Return the p-norm (or power mean) of each row of (groups, members), safe from over- and underflow of the powers.

    >>> group_norm(torch.tensor([[3e-30, 4e-30]]), 2.0)  # 1e-60 is zero in float32
    tensor([5.0000e-30])
    """
    members = groups.shape[1]
    if members <= 1:
        return groups.abs().sum(dim=1) if members == 0 else groups.abs().squeeze(1)
    rows = max(1, CHUNK // members) if groups.is_cpu else max(1, len(groups))
    room = torch.empty_like(groups[:rows])  # memory that is used again costs far less than fresh memory
    parts = groups.split(rows)
    return torch.cat([_norms(torch.abs(part, out=room[: len(part)]), p, average) for part in parts])


def _norms(sizes: Tensor, p: float, average: bool) -> Tensor:
    """Return the norms of some rows of absolute values."""
    if p == 1:
        return sizes.mean(dim=1) if average else sizes.sum(dim=1)
    largest = sizes.amax(dim=1)
    if p == math.inf:
        return largest
    # zero and infinite groups keep their length without becoming 0/0 or inf/inf
    scale = largest.where((largest > 0) & largest.isfinite(), 1.0)
    powers = (sizes / scale.unsqueeze(1)).pow_(p)
    return (powers.mean(dim=1) if average else powers.sum(dim=1)).pow(1 / p) * scale


@dataclass(frozen=True)
class Magnitude(Criterion):
    r"""Score each group by its p-norm; a single weight by its absolute value.

    .. math:: q_g = \lVert w_g \rVert_p = \Big( \sum_{i \in g} |w_i|^p \Big)^{1/p}
              \qquad \text{average:}\quad q_g = n_g^{-1/p}\, \lVert w_g \rVert_p

    Parameters: ``p`` (default 1), a number above 0 or inf; ``average`` (default False) divides by members^(1/p), so
    that groups of different sizes compare in a global scope (a constant group then scores its constant).
    Shapes: weight of any shape the structure takes → (groups,).
    Errors: SettingError for other p; StructureError and ScoreError as in :meth:`Criterion.score`.
    Use it as the default. Between layers of very different scale, score per layer or train with a regularizer.
    A p below 0.1 overflows for large groups unless ``average`` is set.
    Source: Han et al. 2015 (arXiv:1506.02626), section 3; Li et al. 2017 (arXiv:1608.08710), section 3.1, for filters.

    >>> import torch
    >>> from prunus.structures import Element, Filter
    >>> Magnitude().score(torch.tensor([[1.0, -2.0], [3.0, 0.0]]), Element())
    tensor([1., 2., 3., 0.])
    >>> Magnitude(p=2, average=True).score(torch.ones(2, 3, 5, 5), Filter())
    tensor([1., 1.])
    """

    absolute: ClassVar[bool] = True

    p: float = 1.0
    average: bool = False

    def __post_init__(self) -> None:
        """Refuse a p that is no norm or quasi-norm."""
        require_number("p", self.p, 0.0, open_low=True)

    def _walk(self, weight: Tensor, structure: Structure) -> Tensor | None:
        grid = structure.grid(weight.shape)
        if grid is None or grid[0] * grid[2] <= 1 or self.p not in (1, 2) or weight.dtype == torch.float64:
            return None
        values = widen(weight)
        if not ranking.can_walk(values, torch.float32):
            return None
        sums = ranking.group_sums(values, grid, square=self.p == 2)
        if self.average:
            sums /= grid[0] * grid[2]
        return (sums.sqrt_() if self.p == 2 else sums).float()

    def _rate(self, groups: Tensor, gradient: Tensor | None, generator: Generator | None) -> Tensor:
        return group_norm(groups, self.p, average=self.average)
