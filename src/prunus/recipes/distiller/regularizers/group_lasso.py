"""GroupLassoRegularizer: groups of weights pay their length."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from prunus.recipes.distiller.charging import Charging
from prunus.recipes.distiller.keyed import require_values
from prunus.recipes.distiller.lengths import lengths
from prunus.recipes.distiller.regimes import Regime, refer, regimes_of, require_criterion, require_regime
from prunus.recipes.faults import Place, Report
from prunus.recipes.nodes import Pair
from prunus.select import Target


@dataclass(frozen=True)
class GroupLassoRegularizer(Charging):
    r"""Add the lengths of groups of weights to the loss, so that whole groups shrink together.

    .. math:: \sum_p \lambda_p \sum_{g} \lVert w_{p,g} \rVert_2

    Args:
        reg_regims: [λ, group] by parameter name; λ is at least 0. Groups of convolutions are 2D (kernels), 3D or
            Filters, Channels (of matrices too) and 4D (the whole); of matrices Rows (outputs) and Cols (inputs).
            Groups joined by ``+``, such as Rows+Cols, all charge: their sums add up.
        threshold_criteria: Max or Mean_Abs: after each mini-batch groups whose largest, or mean, absolute weight is not
            above λ are set to zero; None removes nothing. Not for 4D and joined groups.

    Raises:
        SettingError: an unknown group or criterion, a strength that is negative or no number, no parameter.

    A length is not weighted by the size of its group, as it is in :class:`prunus.regularizers.GroupLasso`; the length
    of a channel is :math:`\sqrt{\lVert w \rVert^2 + 10^{-8}}`, as in Distiller. Source: Wen et al. 2016
    (arXiv:1608.03665), section 3.1; Yuan and Lin (2006).

    >>> GroupLassoRegularizer({"conv.weight": (0.1, "Channels+4D")}).regimes["conv.weight"].groups
    ('Channels', '4D')
    """

    reg_regims: Mapping[str, tuple[float, str]]
    threshold_criteria: str | None = None

    def __post_init__(self) -> None:
        require_values("reg_regims", self.reg_regims, require_regime)
        require_criterion(self.threshold_criteria)

    @classmethod
    def read(cls, pairs: Mapping[str, Pair], name: str, place: Place, report: Report) -> Any:
        """Read it; a strength without a group is pointed to the class without groups."""
        hint = "GroupLassoRegularizer takes [strength, group], a strength alone is for L1Regularizer"
        return super().read(refer(pairs, (int, float), hint, report), name, place, report)

    @property
    def regimes(self) -> Mapping[str, Regime]:
        """The strengths and groups."""
        return regimes_of(self.reg_regims)

    def charge(self, target: Target, groups: tuple[str, ...]) -> Tensor:
        """Return the sum of the lengths of all groups."""
        return torch.cat([lengths(target.parameter, group) for group in groups]).sum()
