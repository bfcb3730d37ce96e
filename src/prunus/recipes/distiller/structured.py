"""What pruners of whole structures share: which groups of which weights, and how many of them go."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from prunus.criteria import Criterion, Magnitude
from prunus.errors import SettingError, require_count, require_fraction, require_known
from prunus.recipes.distiller.blocks import BlockShape
from prunus.recipes.distiller.contract import Chosen, Pruner, Remark, Rule
from prunus.recipes.distiller.names import as_names
from prunus.recipes.distiller.ranked import Level, Ranking
from prunus.recipes.distiller.rising import cubic_level, require_rise, require_two_firings
from prunus.recipes.distiller.structures import BLOCKS, DIMENSIONS, RANKED, fit_leader, fit_ranked
from prunus.structures import Structure
from prunus.window import Span

FILTERS = ("Filters", "3D")
"""The two words for filters."""
EVERY = tuple(DIMENSIONS)
"""Every group of ranked pruners."""


@dataclass(frozen=True, kw_only=True)
class StructuredPruner(Pruner):
    """Base of pruners that drop a share of the structures of each parameter.

    Args:
        group_type: Filters (or 3D), Channels, Rows (input features, see the notice) or Blocks; some take filters only.
        weights: parameter names; one name alone is fine.
        group_dependency: "Leader" rates the first parameter, anew at each call, and drops the same structures of all;
            None, each its own.
        kwargs: the ``block_shape`` where the group type is Blocks.

    Raises:
        SettingError: an unknown group type or dependency, a block shape without blocks or the reverse, no parameter.

    >>> StructuredPruner.group_types
    ('Filters', '3D', 'Channels', 'Rows', 'Blocks')
    """

    group_types: ClassVar[Iterable[str]] = EVERY
    tosses: ClassVar[bool] = False
    """Whether each structure lives by chance, so that a share says how likely and not how many."""

    group_type: str
    weights: str | tuple[str, ...]
    group_dependency: str | None = None
    kwargs: BlockShape | None = None

    def __post_init__(self) -> None:
        require_known("group_type", self.group_type, self.group_types)
        if self.group_dependency is not None:
            require_known("group_dependency", self.group_dependency, ["Leader"])
        if (self.kwargs is not None) != (self.group_type == BLOCKS):
            found = "missing" if self.kwargs is None else "for Blocks alone"
            raise SettingError(f"kwargs with block_shape is {found}, and group_type is {self.group_type}")
        as_names("weights", self.weights)

    @property
    def names(self) -> tuple[str, ...]:
        """The weights."""
        return as_names("weights", self.weights)

    @property
    def structure(self) -> Structure:
        """The structure that the group type means."""
        return RANKED[self.group_type] if self.kwargs is None else self.kwargs.structure

    def fit(self, chosen: Chosen) -> Iterator[Remark]:
        """Refuse wrong shapes, and members that do not match the Leader."""
        yield from fit_ranked(self.group_type, chosen, self.structure)
        if self.group_dependency is not None:
            yield from fit_leader(self.structure, chosen)

    def criterion(self) -> Criterion:
        """Return what rates the structures, of which the lowest go: the mean absolute weight, unless overridden."""
        return Magnitude(average=True)

    @abstractmethod
    def level(self) -> Level:
        """Return the share that goes as a function of the scene."""

    def rule(self, chosen: Chosen, span: Span, model: nn.Module) -> Rule:
        """Return the ranking by the criterion."""
        led = self.group_dependency is not None
        return Ranking(chosen.all, self.structure, self.level(), led, self.criterion())


@dataclass(frozen=True, kw_only=True)
class Seeded(StructuredPruner):
    """Base of those that draw.

    Args:
        seed: of the draws (not in Distiller, which draws from a generator that everything shares).

    Raises:
        SettingError: a seed that is no whole number of at least 0.

    >>> from prunus.recipes.distiller.pruners import RandomRankedFilterPruner
    >>> RandomRankedFilterPruner(group_type="3D", desired_sparsity=0.5, weights="conv.weight", seed=-1)
    Traceback (most recent call last):
        ...
    prunus.errors.SettingError: seed is -1, expected a whole number of at least 0
    """

    seed: int = 0

    def __post_init__(self) -> None:
        require_count("seed", self.seed, 0)
        super().__post_init__()

    @property
    def generator_seed(self) -> int:
        """The seed of the draws."""
        return self.seed


@dataclass(frozen=True, kw_only=True)
class Settled(StructuredPruner):
    """Base of those with one sparsity for the whole policy.

    Args:
        desired_sparsity: share of structures to drop, in [0, 1].

    Raises:
        SettingError: a sparsity outside [0, 1].

    >>> Settled.gradual
    False
    """

    desired_sparsity: float

    def __post_init__(self) -> None:
        require_fraction("desired_sparsity", self.desired_sparsity)
        super().__post_init__()

    def level(self) -> Level:
        """Return the sparsity, whatever the scene."""
        return lambda scene: self.desired_sparsity


@dataclass(frozen=True, kw_only=True)
class Gradual(StructuredPruner):
    """Base of those whose sparsity rises along the cubic of Zhu and Gupta.

    Args:
        initial_sparsity: at the first firing, in [0, 1].
        final_sparsity: at the last firing, above the initial one.

    Raises:
        SettingError: the sparsities do not rise.

    >>> Gradual.gradual
    True
    """

    gradual: ClassVar[bool] = True

    initial_sparsity: float
    final_sparsity: float

    def __post_init__(self) -> None:
        require_rise(self.initial_sparsity, self.final_sparsity)
        super().__post_init__()

    def fit_window(self, span: Span) -> Iterator[Remark]:
        """Refuse a window with one firing."""
        yield from super().fit_window(span)
        yield from require_two_firings(span)

    def level(self) -> Level:
        """Return the cubic of the policy's progress."""
        return cubic_level(self.initial_sparsity, self.final_sparsity)
