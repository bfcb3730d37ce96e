"""ActivationAPoZ- and ActivationMeanRankedFilterPruner: filters by what comes out of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor, nn

from prunus.errors import SettingError
from prunus.recipes.distiller.activations import ActivationRanking, Figure, Source, lacking, sources_of
from prunus.recipes.distiller.contract import Chosen, Remark, Rule
from prunus.recipes.distiller.structured import FILTERS, Gradual, Settled, StructuredPruner
from prunus.window import Span


def percent_zero(values: Tensor) -> Tensor:
    """Return 100 where an activation is zero and 0 elsewhere.

    >>> percent_zero(torch.tensor([0.0, 2.0]))
    tensor([100.,   0.], dtype=torch.float64)
    """
    return (values == 0).to(torch.float64) * 100.0


def unchanged(values: Tensor) -> Tensor:
    """Return the activations in double precision.

    >>> unchanged(torch.tensor([2.0]))
    tensor([2.], dtype=torch.float64)
    """
    return values.to(torch.float64)


@dataclass(frozen=True, kw_only=True)
class ActivationRanked(StructuredPruner):
    """Base of the four: filters, and the modules whose outputs rate them.

    Args:
        activations: module by parameter name, where Distiller's rule (``.conv`` becomes ``.relu``) finds another or
            none, and no ReLU reads the convolution, or its norm, in the traced model (not in Distiller).

    >>> ActivationRanked.figure(torch.tensor([0.0]))
    tensor([100.], dtype=torch.float64)
    """

    group_types: ClassVar[Iterable[str]] = FILTERS
    figure: ClassVar[Figure] = staticmethod(percent_zero)

    activations: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        unknown = [name for name in self.activations if name not in self.names]
        if unknown:
            raise SettingError(f"activations names {', '.join(unknown)}, expected names that are among the weights")

    @property
    def sign(self) -> float:
        """Which end goes: -1.0 the largest figures, 1.0 the smallest."""
        return -1.0

    def fit_window(self, span: Span) -> Iterator[Remark]:
        """Refuse a policy that begins before there are activations."""
        yield from super().fit_window(span)
        if span.start == 0:
            yield Remark("it ranks by the activations of the epochs before, so start in epoch 1 or later")

    def fit_model(self, chosen: Chosen, model: nn.Module) -> Iterator[Remark]:
        """Name the parameters for which no module stands."""
        sources = self._sources(chosen, model)
        for name, target in chosen.named.items():
            if target.name not in sources:
                written = self.activations.get(name)
                yield Remark(lacking(name, written, model), written or name)

    def rule(self, chosen: Chosen, span: Span, model: nn.Module) -> Rule:
        """Return the ranking by the outputs of the modules."""
        sources = self._sources(chosen, model)
        led = self.group_dependency is not None
        return ActivationRanking(chosen.all, self.structure, self.level(), led, sources, type(self).figure, self.sign)

    def _sources(self, chosen: Chosen, model: nn.Module) -> Mapping[str, Source]:
        written = {chosen.named[name].name: module for name, module in self.activations.items()}
        return sources_of(chosen.all, written, model)


@dataclass(frozen=True, kw_only=True)
class ActivationMeanRanked(ActivationRanked):
    """Base of the two that rank by the mean.

    Args:
        drop_least: drop the least active filters, as the paper does; Distiller drops the most active ones.

    >>> ActivationMeanRanked.figure(torch.tensor([2.0]))
    tensor([2.], dtype=torch.float64)
    """

    figure: ClassVar[Figure] = staticmethod(unchanged)

    drop_least: bool = False

    @property
    def sign(self) -> float:
        """Which end goes."""
        return 1.0 if self.drop_least else -1.0

    def fit(self, chosen: Chosen) -> Iterator[Remark]:
        """Say which end goes."""
        yield from super().fit(chosen)
        if not self.drop_least:
            text = "the most active filters go, as in Distiller; the paper's criterion is drop_least: true"
            yield Remark(text, severity="notice")


@dataclass(frozen=True, kw_only=True)
class ActivationAPoZRankedFilterPruner(Settled, ActivationRanked):
    r"""Drop the ⌊desired_sparsity·n⌋ filters of each parameter whose activations are zero most often.

    .. math:: APoZ_c = \frac{100}{N} \sum_i [\, a_{c,i} = 0 \,]

    over the N activations of channel c in every forward pass, of training and validation, since the last decision.

    Args:
        group_type: Filters or 3D.
        desired_sparsity, weights, group_dependency, activations: as for every ranked pruner, and the modules.

    Raises:
        SettingError: as for every ranked pruner. RecipeError: no module stands for a parameter.

    Needs forward passes before it fires, so it starts in epoch 1 or later. Source: Hu et al. 2016 (arXiv:1607.03250).

    >>> ActivationAPoZRankedFilterPruner(group_type="Filters", desired_sparsity=0.5, weights="conv1.weight").sign
    -1.0
    """


@dataclass(frozen=True, kw_only=True)
class ActivationAPoZRankedFilterPruner_AGP(Gradual, ActivationRanked):
    """Drop the ⌊s(e)·n⌋ filters of each parameter whose activations are zero most often.

    Args:
        group_type: Filters or 3D.
        initial_sparsity, final_sparsity: shares at the first and at the last firing.
        weights, group_dependency, activations: as for ActivationAPoZRankedFilterPruner.

    Raises:
        SettingError: as for every ranked pruner, and where the sparsities do not rise. RecipeError: no module.

    Source: as ActivationAPoZRankedFilterPruner, with the schedule of Zhu and Gupta 2017.

    >>> pruner = ActivationAPoZRankedFilterPruner_AGP(
    ...     group_type="Filters", initial_sparsity=0.1, final_sparsity=0.5, weights="conv1.weight"
    ... )
    >>> [remark.severity for remark in pruner.fit_window(Span(0, 9))]
    ['error']
    """


@dataclass(frozen=True, kw_only=True)
class ActivationMeanRankedFilterPruner(Settled, ActivationMeanRanked):
    r"""Drop the ⌊desired_sparsity·n⌋ filters of each parameter whose mean activation is the largest, or the smallest.

    .. math:: q_c = \frac{1}{N} \sum_i a_{c,i}

    over the N activations of channel c in every forward pass, of training and validation, since the last decision.

    Args:
        group_type: Filters or 3D.
        desired_sparsity, weights, group_dependency, activations: as for every ranked pruner, and the modules.
        drop_least: drop the smallest; the default, the largest, is Distiller's.

    Raises:
        SettingError: as for every ranked pruner. RecipeError: no module stands for a parameter.

    Source: Molchanov et al. 2017 (arXiv:1611.06440), who drop the smallest.

    >>> ActivationMeanRankedFilterPruner(
    ...     group_type="Filters", desired_sparsity=0.5, weights="conv1.weight", drop_least=True
    ... ).sign
    1.0
    """


@dataclass(frozen=True, kw_only=True)
class ActivationMeanRankedFilterPruner_AGP(Gradual, ActivationMeanRanked):
    """Drop the ⌊s(e)·n⌋ filters of each parameter whose mean activation is the largest, or the smallest.

    Args:
        group_type: Filters or 3D.
        initial_sparsity, final_sparsity: shares at the first and at the last firing.
        weights, group_dependency, activations, drop_least: as for ActivationMeanRankedFilterPruner.

    Raises:
        SettingError: as for every ranked pruner, and where the sparsities do not rise. RecipeError: no module.

    Source: as ActivationMeanRankedFilterPruner, with the schedule of Zhu and Gupta 2017.

    >>> ActivationMeanRankedFilterPruner_AGP(
    ...     group_type="Filters", initial_sparsity=0.1, final_sparsity=0.5, weights="conv1.weight"
    ... ).gradual
    True
    """
