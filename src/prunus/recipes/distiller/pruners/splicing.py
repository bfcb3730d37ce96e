"""SplicingPruner: single weights between two thresholds stay as they were, dead or alive."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from prunus.criteria import Magnitude
from prunus.errors import SettingError, require_number
from prunus.recipes.distiller.contract import Chosen, Pruner, Remark, Rule, Scene
from prunus.recipes.distiller.keyed import ALL, by_target, fit_all, named_in, require_values
from prunus.recipes.distiller.pruners.sensitivity import fit_deviations
from prunus.recipes.distiller.thresholds import Memory, Remembering
from prunus.select import Target
from prunus.structures import Element
from prunus.window import Span


def mean_and_deviation(weight: Tensor) -> tuple[float, ...]:
    """Return mean and unbiased standard deviation of the absolute values.

    >>> import torch
    >>> mean_and_deviation(torch.tensor([-1.0, 3.0]))
    (2.0, 1.4142)
    """
    sizes = weight.abs()
    return float(sizes.mean()), float(sizes.std()) if weight.numel() > 1 else 0.0


@dataclass(eq=False)
class Splicing(Remembering):
    """Drop what is below the limit times ``low``, keep what is at least the limit times ``high``, leave the rest.

    >>> Splicing([], lambda target, scene, figures: 0.1).masks(Scene(0, 0.0, Span(0, 5)))
    {}
    """

    low: float = 1.0
    high: float = 1.0

    def keep(self, target: Target, weight: Tensor, limit: float, scene: Scene) -> Tensor:
        """Return the mask; without one before, everything was alive."""
        sizes = Magnitude().score(weight, Element()).reshape(weight.shape)
        before = scene.previous.get(target.name)
        stays = sizes >= limit * self.low
        return stays if before is None else stays & (before | (sizes >= limit * self.high))


@dataclass(frozen=True)
class SplicingPruner(Pruner):
    r"""Drop weights below a lower threshold, bring back those that reach an upper one, leave the others as they are.

    .. math:: a = (\mu + s'\sigma)\,low,\quad b = (\mu + s'\sigma)\,high,\quad
              s' = s\,\big((e - start)\,multiplier + 1\big)

    with mean μ and unbiased deviation σ of the absolute weights.

    Args:
        sensitivities: s by parameter name, at least 0; ``*`` means every other parameter, biases and norms too.
        low_thresh_mult, hi_thresh_mult: the factors low and high, at least 0, high not below low.
        sensitivity_multiplier: by how much the sensitivity grows an epoch; 0, the default, keeps it.

    Raises:
        SettingError: a negative number, high below low, or no sensitivity.

    μ and σ are measured when the policy fires first, kept for the run and saved with it. Weights come back only where
    updates reach them: set ``mask_on_forward_only``, for the paper's updates ``use_double_copies`` too.
    Source: Guo et al. 2016 (arXiv:1608.04493).

    >>> SplicingPruner({"fc.weight": 0.05}, low_thresh_mult=1.1, hi_thresh_mult=0.9)
    Traceback (most recent call last):
        ...
    prunus.errors.SettingError: low_thresh_mult is 1.1, expected at most hi_thresh_mult 0.9
    """

    sensitivities: Mapping[str, float]
    low_thresh_mult: float
    hi_thresh_mult: float
    sensitivity_multiplier: float = 0.0

    def __post_init__(self) -> None:
        require_values("sensitivities", self.sensitivities, lambda name, value: require_number(name, value, 0.0))
        for name in ("low_thresh_mult", "hi_thresh_mult", "sensitivity_multiplier"):
            require_number(name, getattr(self, name), 0.0)
        if self.low_thresh_mult > self.hi_thresh_mult:
            wanted = f"expected at most hi_thresh_mult {self.hi_thresh_mult}"
            raise SettingError(f"low_thresh_mult is {self.low_thresh_mult}, {wanted}")

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters with a sensitivity of their own."""
        return named_in(self.sensitivities)

    @property
    def everything(self) -> bool:
        """Whether there is a sensitivity for all others."""
        return ALL in self.sensitivities

    def fit(self, chosen: Chosen) -> Iterator[Remark]:
        """Say when the figures are measured, and what ``*`` means."""
        yield next(fit_deviations(chosen))
        yield from fit_all(self.sensitivities, chosen)

    def rule(self, chosen: Chosen, span: Span, model: nn.Module) -> Rule:
        """Return the splicing, with a memory of means and deviations."""
        factors = by_target(self.sensitivities, chosen)

        def middle(target: Target, scene: Scene, figures: tuple[float, ...]) -> float:
            mean, deviation = figures
            growth = (scene.epoch - span.start) * self.sensitivity_multiplier + 1
            return mean + deviation * factors[target.name] * growth

        memory = Memory(mean_and_deviation)
        return Splicing(chosen.all, middle, memory, self.low_thresh_mult, self.hi_thresh_mult)
