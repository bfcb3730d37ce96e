"""SensitivityPruner: single weights below a multiple of the standard deviation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from prunus.errors import require_number
from prunus.recipes.distiller.contract import Chosen, Pruner, Remark, Rule, Scene
from prunus.recipes.distiller.keyed import ALL, by_target, fit_all, named_in, require_values
from prunus.recipes.distiller.thresholds import Memory, Thresholding
from prunus.select import Target
from prunus.window import Span


def fit_deviations(chosen: Chosen) -> Iterator[Remark]:
    """Yield a notice of when deviations are measured, and a warning for what has none.

    >>> [remark.severity for remark in fit_deviations(Chosen({}))]
    ['notice']
    """
    text = "deviations are those of the weights when this policy fires first, and stay so, as in Distiller"
    yield Remark(text, severity="notice")
    for target in chosen.all:
        if target.parameter.numel() < 2:
            yield Remark(f"{target.name} has one element, so no deviation: it stays as it is", "", "warning")


def deviation(weight: Tensor) -> tuple[float, ...]:
    """Return the unbiased standard deviation, with signs; NaN for one element.

    >>> import torch
    >>> deviation(torch.tensor([-1.0, 1.0]))
    (1.4142,)
    """
    return (float(weight.std()) if weight.numel() > 1 else float("nan"),)


@dataclass(frozen=True)
class SensitivityPruner(Pruner):
    r"""Keep the weights whose absolute value is above sensitivity times standard deviation.

    .. math:: m_i = [\, |w_i| > s\,\sigma \,],\quad \sigma^2 = \tfrac{1}{n - 1} \sum_i (w_i - \bar w)^2

    Args:
        sensitivities: s by parameter name, at least 0; ``*`` means every other parameter, biases and norms too.

    Raises:
        SettingError: a negative sensitivity, or none at all.

    σ is measured when the policy fires first, kept for the run and saved with it. Source: Han et al. 2015.

    >>> SensitivityPruner({"fc.weight": 0.75, "*": 0.5}).everything
    True
    """

    sensitivities: Mapping[str, float]

    def __post_init__(self) -> None:
        require_values("sensitivities", self.sensitivities, lambda name, value: require_number(name, value, 0.0))

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters with a sensitivity of their own."""
        return named_in(self.sensitivities)

    @property
    def everything(self) -> bool:
        """Whether there is a sensitivity for all others."""
        return ALL in self.sensitivities

    def fit(self, chosen: Chosen) -> Iterator[Remark]:
        """Say when the deviations are measured, and what ``*`` means."""
        yield from fit_deviations(chosen)
        yield from fit_all(self.sensitivities, chosen)

    def rule(self, chosen: Chosen, span: Span, model: nn.Module) -> Rule:
        """Return the thresholds, with a memory of the deviations."""
        factors = by_target(self.sensitivities, chosen)

        def limit(target: Target, scene: Scene, figures: tuple[float, ...]) -> float:
            return factors[target.name] * figures[0]

        alive = [target for target in chosen.all if target.parameter.numel() > 1]
        return Thresholding(alive, limit, Memory(deviation))
