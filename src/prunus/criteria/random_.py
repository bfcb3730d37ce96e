"""Random: every group is worth the same, and the draw decides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from prunus.criteria.base import Criterion


@dataclass(frozen=True)
class Random(Criterion):
    r"""Score each group by an independent uniform draw.

    .. math:: q_g \sim U[0, 1)

    Shapes: weight of any shape the structure takes → (groups,). The draw does not look at the weights.
    Errors: ScoreError without a generator: the global one is shared with shuffling and dropout, so a resumed run would
    draw otherwise.
    Use it as the control that every criterion has to beat, and for random sparse starts; not to prune a trained model.
    Source: the random baseline of Blalock et al. 2020 (arXiv:2003.03033), section 7.

    >>> from prunus.structures import Row
    >>> Random().score(torch.zeros(3, 4), Row(), generator=torch.Generator().manual_seed(0))
    tensor([0.4963, 0.7682, 0.0885])
    """

    needs_weight: ClassVar[bool] = False
    random: ClassVar[bool] = True
    local: ClassVar[bool] = False  # what one group draws depends on how many were drawn before

    def _rate(self, groups: Tensor, gradient: Tensor | None, generator: Generator | None) -> Tensor:
        # drawn where the generator lives, so that a CPU generator gives one answer on every device
        device = groups.device if generator is None else generator.device
        return torch.rand(len(groups), generator=generator, dtype=groups.dtype, device=device).to(groups.device)
