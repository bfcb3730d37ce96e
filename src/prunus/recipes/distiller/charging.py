"""What regularizers share: each parameter pays by its strength, and the strength is the threshold of its groups."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

from prunus.errors import ScoreError
from prunus.recipes.distiller.contract import Chosen, Regularizer, Remark
from prunus.recipes.distiller.regimes import Regime
from prunus.recipes.distiller.structures import THRESHOLDS, fit_group, fit_thresholds
from prunus.recipes.distiller.thresholds import CRITERIA
from prunus.regularizers.base import zero_value
from prunus.select import Target
from prunus.structures import Element


class Charging(Regularizer):
    """Base of the regularizers: add up strength times charge; drop the groups that are not above the strength.

    A member says its ``regimes`` and the ``charge`` of one parameter. The fields are those of the file.

    >>> from prunus.recipes.distiller.regularizers import L1Regularizer
    >>> L1Regularizer({"fc.weight": 0.1}, "Max").thresholds
    True
    """

    reg_regims: Mapping[str, Any]
    threshold_criteria: str | None

    @property
    @abstractmethod
    def regimes(self) -> Mapping[str, Regime]:
        """What each parameter pays, by its name in the file."""

    @abstractmethod
    def charge(self, target: Target, groups: tuple[str, ...]) -> Tensor:
        """Return what a parameter pays at strength 1, differentiable."""

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters with a regime."""
        return tuple(self.reg_regims)

    @property
    def thresholds(self) -> bool:
        """Whether it removes groups after each mini-batch."""
        return self.threshold_criteria is not None

    def penalty(self, chosen: Chosen) -> Tensor:
        """Return the sum of strength times charge; strength 0 charges nothing, and leaves no trace in the gradients."""
        pairs = self._pairs(chosen)
        terms = [one.strength * self.charge(target, one.groups) for target, one in pairs if one.strength]
        return sum(terms[1:], start=terms[0]) if terms else zero_value(pairs[0][0].parameter.detach())

    def keep(self, chosen: Chosen) -> Mapping[str, Tensor]:
        """Return the masks of what is above its strength; ScoreError where weights are NaN."""
        return {target.name: self._mask(target, regime) for target, regime in self._pairs(chosen)}

    def _pairs(self, chosen: Chosen) -> list[tuple[Target, Regime]]:
        regimes = self.regimes
        return [(target, regimes[name]) for name, target in chosen.named.items()]

    def _mask(self, target: Target, regime: Regime) -> Tensor:
        structure = THRESHOLDS[regime.groups[0]] if regime.groups else Element()
        weight = target.parameter.detach()
        values = CRITERIA[self.threshold_criteria or ""].score(weight, structure)
        if bool(values.isnan().any()):
            raise ScoreError(f"{target.name} holds NaN, which is above no threshold; look for a loss that has diverged")
        return structure.expand(values > regime.strength, weight.shape)

    def fit(self, chosen: Chosen) -> Iterator[Remark]:
        """Refuse wrong shapes, and thresholds of what has none; say what charges nothing, and what is a threshold."""
        for name, (target, regime) in zip(chosen.named, self._pairs(chosen), strict=True):
            yield from self._fit(name, target, regime)
        if self.thresholds:
            yield Remark("the strengths are the thresholds too, as in Distiller", "threshold_criteria", "notice")

    def _fit(self, name: str, target: Target, regime: Regime) -> Iterator[Remark]:
        if regime.strength == 0:
            yield Remark(f"strength 0 charges nothing for {target.name}", name, "warning")
        if not target.parameter.requires_grad:
            yield Remark(f"{target.name} is frozen: what it is charged changes nothing", name, "warning")
        alone = len(regime.groups) == 1 and regime.groups[0] in THRESHOLDS
        if self.thresholds and alone:
            mean = self.threshold_criteria == "Mean_Abs"
            yield from fit_thresholds({name: regime.groups[0]}, Chosen({name: target}), mean=mean)
            return
        for group in regime.groups:
            yield from fit_group(group, name, target)
        if self.thresholds and regime.groups:
            yield _no_threshold(name, target, regime)


def _no_threshold(name: str, target: Target, regime: Regime) -> Remark:
    found = f"{'+'.join(regime.groups)} of {target.name} with shape {list(target.parameter.shape)}"
    return Remark(f"threshold_criteria takes one of {', '.join(THRESHOLDS)}, found {found}", name)
