"""RandomRankedFilterPruner: filters chosen by lot."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar

from prunus.criteria import Criterion
from prunus.recipes.distiller.contract import Chosen, Remark
from prunus.recipes.distiller.noise import RandomLiving
from prunus.recipes.distiller.structured import FILTERS, Gradual, Seeded, Settled


@dataclass(frozen=True, kw_only=True)
class Lottery(Seeded):
    """Base of the two: a seed, and draws among the filters that live.

    >>> Lottery.group_types
    ('Filters', '3D')
    """

    group_types: ClassVar[Iterable[str]] = FILTERS

    def fit(self, chosen: Chosen) -> Iterator[Remark]:
        """Say that zero filters go first."""
        yield from super().fit(chosen)
        text = "filters that are zero already go first, so no more go than asked; Distiller draws among all"
        yield Remark(text, severity="notice")

    def criterion(self) -> Criterion:
        """Return uniform draws, below which all that is zero lies."""
        return RandomLiving()


@dataclass(frozen=True, kw_only=True)
class RandomRankedFilterPruner(Settled, Lottery):
    """Drop ⌊desired_sparsity·n⌋ filters of each parameter, drawn at each call among those that live.

    Args:
        group_type: Filters or 3D.
        desired_sparsity, weights, group_dependency, seed: as for every ranked pruner, and of the draws.

    Raises:
        SettingError: as for every ranked pruner.

    Use it as the control that every criterion has to beat. Source: the random baseline of Blalock et al. 2020.

    >>> RandomRankedFilterPruner(group_type="3D", desired_sparsity=0.5, weights="conv.weight", seed=3).generator_seed
    3
    """


@dataclass(frozen=True, kw_only=True)
class RandomRankedFilterPruner_AGP(Gradual, Lottery):
    """Drop ⌊s(e)·n⌋ filters of each parameter, drawn at each call among those that live.

    Args:
        group_type: Filters or 3D.
        initial_sparsity, final_sparsity: shares at the first and at the last firing.
        weights, group_dependency, seed: as for RandomRankedFilterPruner.

    Raises:
        SettingError: as for every ranked pruner, and where the sparsities do not rise.

    Source: as RandomRankedFilterPruner, with the schedule of Zhu and Gupta 2017.

    >>> RandomRankedFilterPruner_AGP(
    ...     group_type="Filters", initial_sparsity=0.1, final_sparsity=0.5, weights="conv.weight"
    ... ).gradual
    True
    """
