"""Gradient: where the loss wants to move most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Generator, Tensor

from prunus.criteria.base import Criterion
from prunus.criteria.magnitude import group_norm
from prunus.errors import require_number


@dataclass(frozen=True)
class Gradient(Criterion):
    r"""Score each group by the p-norm of its gradient; a single weight by the absolute value.

    .. math:: q_g = \Big( \sum_{i \in g} \Big|\frac{\partial L}{\partial w_i}\Big|^p \Big)^{1/p}

    Parameters: ``p`` (default 1), a number above 0 or inf.
    Shapes: weight and gradient of any shape the structure takes → (groups,). Pruned weights have gradients too.
    Errors: SettingError for other p; ScoreError without a gradient.
    Use it to choose which pruned weights come back (RigL). Do not prune by it: at a minimum every gradient is small;
    see :class:`Taylor`.
    Source: Evci et al. 2020 (arXiv:1911.11134), section 3 (4).

    >>> import torch
    >>> from prunus.structures import Element
    >>> Gradient().score(torch.zeros(3), Element(), gradient=torch.tensor([0.1, -0.5, 0.2]))
    tensor([0.1000, 0.5000, 0.2000])
    """

    needs_gradient: ClassVar[bool] = True
    needs_weight: ClassVar[bool] = False

    p: float = 1.0

    def __post_init__(self) -> None:
        """Refuse a p that is no norm or quasi-norm."""
        require_number("p", self.p, 0.0, open_low=True)

    def _rate(self, groups: Tensor, gradient: Tensor | None, generator: Generator | None) -> Tensor:
        assert gradient is not None  # the base class has checked what the member declares
        return group_norm(gradient, self.p)
