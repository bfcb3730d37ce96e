"""LAMP: magnitude, measured against what would still be there in its layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from prunus.criteria.base import Criterion


@dataclass(frozen=True)
class LAMP(Criterion):
    r"""Score each weight by its square over the sum of the squares of all weights of its tensor that are not smaller.

    .. math:: q_{(i)} = \frac{w_{(i)}^2}{\sum_{j \ge i} w_{(j)}^2}, \qquad |w_{(1)}| \le \dots \le |w_{(n)}|

    Within a tensor the order is that of the magnitudes, and the largest weight of each scores 1, so a global scope
    shares the sparsity among layers by itself and empties none of them before all. Of equal weights the one with the
    lower index counts as the larger. For groups, w is the Euclidean length of the group.
    Shapes: weight of any shape the structure takes → (groups,). Sums are taken in 64 bits. Zeros score 0.
    Errors: StructureError and ScoreError as in :meth:`Criterion.score`.
    Use it with :class:`Global` for unstructured pruning at high sparsity. It sorts each tensor, which takes some ten
    times longer than :class:`Magnitude`; with :class:`PerLayer` it chooses the same weights as that.
    Source: Lee et al. 2021 (arXiv:2010.07611), section 2.

    >>> from prunus.structures import Element
    >>> LAMP().score(torch.tensor([1.0, -2.0, 0.0, 2.0]), Element())
    tensor([0.1111, 1.0000, 0.0000, 0.5000])
    """

    local: ClassVar[bool] = False

    def _rate(self, groups: Tensor, gradient: Tensor | None, generator: Generator | None) -> Tensor:
        # flipped, so that the stable sort puts the lower index last among equals
        squares, order = groups.double().square().sum(dim=1).flip(0).sort(stable=True)
        rest = squares.flip(0).cumsum(0).flip(0)
        shares = squares / rest.clamp_min(torch.finfo(rest.dtype).tiny)
        return torch.empty_like(shares).index_copy_(0, len(order) - 1 - order, shares).to(groups.dtype)
