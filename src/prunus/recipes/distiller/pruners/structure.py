"""StructureParameterPruner: whole structures below a threshold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from torch import nn

from prunus.errors import require_known, require_number
from prunus.recipes.distiller.contract import Chosen, Pruner, Remark, Rule
from prunus.recipes.distiller.keyed import by_target, require_values
from prunus.recipes.distiller.structures import THRESHOLDS, fit_thresholds
from prunus.recipes.distiller.thresholds import CRITERIA, Thresholding
from prunus.window import Span


def require_regime(name: str, regime: tuple[float, str]) -> None:
    """Raise SettingError unless a regime is a threshold of at least 0 and a known group.

    >>> require_regime("reg_regims of conv.weight", (0.1, "4D"))
    Traceback (most recent call last):
        ...
    prunus.errors.SettingError: reg_regims of conv.weight is '4D', which is unknown. Did you mean '3D'?
    """
    threshold, group = regime
    require_number(name, threshold, 0.0)
    require_known(name, group, THRESHOLDS)


@dataclass(frozen=True)
class StructureParameterPruner(Pruner):
    """Keep the groups of each parameter whose largest, or mean, absolute weight is above a threshold.

    Args:
        reg_regims: [threshold, group] by parameter name; the threshold is at least 0; the group is 2D (kernels), 3D or
            Filters, Channels, and of matrices Rows (outputs) or Cols (inputs).
        threshold_criteria: Max or Mean_Abs.

    Raises:
        SettingError: an unknown group or criterion, a negative threshold, no parameter.

    Where Distiller divides the sum of a row by the number of rows, and that of a column by the number of columns, the
    mean here is the mean. Source: Wen et al. 2016 (arXiv:1608.03665) for the groups.

    >>> StructureParameterPruner({"conv.weight": (0.1, "Filters")}, "Max").names
    ('conv.weight',)
    """

    reg_regims: Mapping[str, tuple[float, str]]
    threshold_criteria: str

    def __post_init__(self) -> None:
        require_values("reg_regims", self.reg_regims, require_regime)
        require_known("threshold_criteria", self.threshold_criteria, CRITERIA)

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters with a regime."""
        return tuple(self.reg_regims)

    def fit(self, chosen: Chosen) -> Iterator[Remark]:
        """Refuse wrong shapes; say where the mean is not Distiller's."""
        groups = {name: group for name, (_, group) in self.reg_regims.items()}
        yield from fit_thresholds(groups, chosen, mean=self.threshold_criteria == "Mean_Abs")

    def rule(self, chosen: Chosen, span: Span, model: nn.Module) -> Rule:
        """Return the thresholds."""
        regimes = by_target(self.reg_regims, chosen)
        structures = {name: THRESHOLDS[group] for name, (_, group) in regimes.items()}
        return Thresholding(
            chosen.all,
            lambda target, scene, figures: regimes[target.name][0],
            criterion=CRITERIA[self.threshold_criteria],
            structure=structures,
        )
