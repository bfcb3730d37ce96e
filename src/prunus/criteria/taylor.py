"""Taylor: what the loss would change by, to first order, if the weights were gone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Generator, Tensor

from prunus.criteria.base import Criterion
from prunus.criteria.magnitude import group_norm


@dataclass(frozen=True)
class Taylor(Criterion):
    r"""Score each group by the length of weight times gradient; a single weight by its absolute value.

    .. math:: q_g = \sqrt{ \sum_{i \in g} \Big( w_i \frac{\partial L}{\partial w_i} \Big)^2 }

    The square of this score is the importance I of the paper, so both rank alike.
    Shapes: weight and gradient of any shape the structure takes → (groups,).
    Errors: ScoreError without a gradient.
    Use it to prune a network that is being trained, filters above all; with one mini-batch the estimate is noisy, so
    prune at steps with accumulated or large batches. Useless for growing: pruned weights are zero and score zero.
    Source: Molchanov et al. 2019 (arXiv:1906.10771), section 3.1, equations 6 and 8.

    >>> import torch
    >>> from prunus.structures import Element
    >>> Taylor().score(torch.tensor([2.0, -1.0]), Element(), gradient=torch.tensor([0.5, 3.0]))
    tensor([1., 3.])
    """

    needs_gradient: ClassVar[bool] = True

    def _rate(self, groups: Tensor, gradient: Tensor | None, generator: Generator | None) -> Tensor:
        assert gradient is not None  # the base class has checked what the member declares
        return group_norm(groups * gradient, 2.0)
