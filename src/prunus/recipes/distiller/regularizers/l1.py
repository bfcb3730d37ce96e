"""L1Regularizer: single weights pay their size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from prunus.recipes.distiller.charging import Charging
from prunus.recipes.distiller.keyed import require_values
from prunus.recipes.distiller.regimes import Regime, refer, require_criterion, require_strength
from prunus.recipes.faults import Place, Report
from prunus.recipes.nodes import Pair
from prunus.regularizers import RegL1
from prunus.select import Target


@dataclass(frozen=True)
class L1Regularizer(Charging):
    r"""Add the sum of absolute weights to the loss.

    .. math:: \sum_p \lambda_p \sum_i |w_{p,i}|

    Args:
        reg_regims: the strength λ by parameter name, at least 0.
        threshold_criteria: Max or Mean_Abs: after each mini-batch weights with :math:`|w| \le \lambda` are set to zero
            (of single weights both say the same); None removes nothing.

    Raises:
        SettingError: a strength that is negative or no number, an unknown criterion, no parameter.

    For groups there is GroupLassoRegularizer. Source: Distiller.

    >>> L1Regularizer({"fc.weight": 0.1}).names
    ('fc.weight',)
    """

    reg_regims: Mapping[str, float]
    threshold_criteria: str | None = None

    def __post_init__(self) -> None:
        require_values("reg_regims", self.reg_regims, require_strength)
        require_criterion(self.threshold_criteria)

    @classmethod
    def read(cls, pairs: Mapping[str, Pair], name: str, place: Place, report: Report) -> Any:
        """Read it; a strength with a group is pointed to the class for groups."""
        hint = "L1Regularizer takes a strength alone, [strength, group] is for GroupLassoRegularizer"
        return super().read(refer(pairs, list, hint, report), name, place, report)

    @property
    def regimes(self) -> Mapping[str, Regime]:
        """The strengths."""
        return {name: Regime(strength) for name, strength in self.reg_regims.items()}

    def charge(self, target: Target, groups: tuple[str, ...]) -> Tensor:
        """Return the sum of absolute weights."""
        return RegL1()(target.parameter)
