"""MagnitudeParameterPruner: single weights below a threshold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from torch import nn

from prunus.errors import SettingError, require_number
from prunus.recipes.distiller.contract import Chosen, Pruner, Remark, Rule
from prunus.recipes.distiller.keyed import ALL, by_target, fit_all, named_in, require_values
from prunus.recipes.distiller.thresholds import Thresholding
from prunus.window import Span


@dataclass(frozen=True)
class MagnitudeParameterPruner(Pruner):
    r"""Keep the weights whose absolute value is above a threshold.

    .. math:: m_i = [\, |w_i| > t \,]

    Args:
        thresholds: t by parameter name, at least 0; ``*``, the threshold of every other parameter, has to be there.

    Raises:
        SettingError: a negative threshold, or no ``*``.

    Biases and norms are masked too. Source: Distiller.

    >>> MagnitudeParameterPruner({"fc.weight": 0.1})
    Traceback (most recent call last):
        ...
    prunus.errors.SettingError: thresholds has no '*', expected one for every parameter without a threshold of its own
    """

    thresholds: Mapping[str, float]

    def __post_init__(self) -> None:
        require_values("thresholds", self.thresholds, lambda name, value: require_number(name, value, 0.0))
        if ALL not in self.thresholds:
            raise SettingError("thresholds has no '*', expected one for every parameter without a threshold of its own")

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters with a threshold of their own."""
        return named_in(self.thresholds)

    @property
    def everything(self) -> bool:
        """Every parameter of the model is masked."""
        return True

    def fit(self, chosen: Chosen) -> Iterator[Remark]:
        """Say what ``*`` means."""
        yield from fit_all(self.thresholds, chosen)

    def rule(self, chosen: Chosen, span: Span, model: nn.Module) -> Rule:
        """Return the thresholds."""
        limits = by_target(self.thresholds, chosen)
        return Thresholding(chosen.all, lambda target, scene, figures: limits[target.name])
