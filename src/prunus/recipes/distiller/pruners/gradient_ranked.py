"""GradientRankedFilterPruner: the filters whose weights times gradients add up to the least."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar

from torch import Generator, Tensor

from prunus.criteria import Criterion
from prunus.recipes.distiller.contract import Chosen, Remark
from prunus.recipes.distiller.structured import FILTERS, Gradual, Settled, StructuredPruner


@dataclass(frozen=True)
class SignedTaylor(Criterion):
    r"""Rate each group by the sum of weight times gradient, sign and all.

    .. math:: q_g = \sum_{i \in g} w_i \frac{\partial L}{\partial w_i}

    No member of :data:`prunus.criteria.CRITERIA`: a strongly negative sum counts as little, although the loss would
    change by as much; see :class:`prunus.criteria.Taylor`.

    >>> import torch
    >>> from prunus.structures import Row
    >>> SignedTaylor().score(torch.ones(2, 2), Row(), gradient=torch.tensor([[1.0, 1.0], [-3.0, 0.0]]))
    tensor([ 2., -3.])
    """

    needs_gradient: ClassVar[bool] = True

    def _rate(self, groups: Tensor, gradient: Tensor | None, generator: Generator | None) -> Tensor:
        assert gradient is not None  # the base class has checked what the member declares
        return (groups * gradient).sum(dim=1)


@dataclass(frozen=True, kw_only=True)
class GradientRanked(StructuredPruner):
    """Base of the two: filters, and gradients of the mini-batch in which masks are decided.

    >>> GradientRanked.needs_gradient
    True
    """

    needs_gradient: ClassVar[bool] = True
    group_types: ClassVar[Iterable[str]] = FILTERS

    def fit(self, chosen: Chosen) -> Iterator[Remark]:
        """Say when it decides, and that the sign counts."""
        yield from super().fit(chosen)
        text = "masks wait for the gradients of the first mini-batch; negative sums go first, as in Distiller"
        yield Remark(text, severity="notice")

    def criterion(self) -> Criterion:
        """Return the signed sum."""
        return SignedTaylor()


@dataclass(frozen=True, kw_only=True)
class GradientRankedFilterPruner(Settled, GradientRanked):
    r"""Drop the ⌊desired_sparsity·n⌋ filters of each parameter with the lowest signed sum of weight times gradient.

    .. math:: q_f = \sum_{i \in f} w_i \frac{\partial L}{\partial w_i}

    Args:
        group_type: Filters or 3D.
        desired_sparsity, weights, group_dependency: as for every ranked pruner.

    Raises:
        SettingError: as for every ranked pruner. ScoreError in the run: a parameter has no gradient.

    Source: Molchanov et al. 2017 (arXiv:1611.06440), without their absolute value, as Distiller does it.

    >>> GradientRankedFilterPruner(group_type="Filters", desired_sparsity=0.5, weights="conv.weight").criterion()
    SignedTaylor()
    """


@dataclass(frozen=True, kw_only=True)
class GradientRankedFilterPruner_AGP(Gradual, GradientRanked):
    """Drop the ⌊s(e)·n⌋ filters of each parameter with the lowest signed sum of weight times gradient.

    Args:
        group_type: Filters or 3D.
        initial_sparsity, final_sparsity: shares at the first and at the last firing.
        weights, group_dependency: as for every ranked pruner.

    Raises:
        SettingError: as for every ranked pruner, and where the sparsities do not rise.

    Source: as GradientRankedFilterPruner, with the schedule of Zhu and Gupta 2017.

    >>> GradientRankedFilterPruner_AGP(
    ...     group_type="Filters", initial_sparsity=0.1, final_sparsity=0.5, weights="conv.weight"
    ... ).needs_gradient
    True
    """
