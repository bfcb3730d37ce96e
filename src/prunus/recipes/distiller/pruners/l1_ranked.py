"""L1RankedStructureParameterPruner: whole filters or channels, those with the smallest weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import nn

from prunus.criteria import Magnitude
from prunus.errors import require_fraction, require_known
from prunus.recipes.distiller.contract import Chosen, Pruner, Remark, Rule
from prunus.recipes.distiller.names import as_names
from prunus.recipes.distiller.ranked import LedRanking, Ranking
from prunus.recipes.distiller.structures import RANKED, fit_leader, fit_ranked
from prunus.window import Span


@dataclass(frozen=True)
class L1RankedStructureParameterPruner(Pruner):
    """Drop the ⌊desired_sparsity·n⌋ structures of each parameter with the smallest mean absolute weight.

    Args:
        group_type: Filters (or 3D), Channels, Rows (input features, see the notice).
        desired_sparsity: share of structures to drop, in [0, 1].
        weights: parameter names; one name alone is fine.
        group_dependency: "Leader" ranks the first parameter and drops the same structures of all; None, each its own.

    Raises:
        SettingError: an unknown group type or dependency, a sparsity outside [0, 1], no parameter.

    The Leader is ranked anew at each call. Source: Li et al. 2017.

    >>> L1RankedStructureParameterPruner("Filters", 0.5, ("conv1.weight", "conv2.weight"), "leader")
    Traceback (most recent call last):
        ...
    prunus.errors.SettingError: group_dependency is 'leader', which is unknown. Did you mean 'Leader'?
    """

    group_type: str
    desired_sparsity: float
    weights: str | tuple[str, ...]
    group_dependency: str | None = None

    def __post_init__(self) -> None:
        require_known("group_type", self.group_type, RANKED)
        require_fraction("desired_sparsity", self.desired_sparsity)
        if self.group_dependency is not None:
            require_known("group_dependency", self.group_dependency, ["Leader"])
        as_names("weights", self.weights)

    @property
    def names(self) -> tuple[str, ...]:
        """The weights."""
        return as_names("weights", self.weights)

    def fit(self, chosen: Chosen) -> Iterator[Remark]:
        """Refuse wrong ranks, and members that do not match the Leader."""
        yield from fit_ranked(self.group_type, chosen)
        if self.group_dependency is not None:
            yield from fit_leader(RANKED[self.group_type], chosen)

    def rule(self, chosen: Chosen, span: Span, model: nn.Module) -> Rule:
        """Return the ranking by the mean absolute weight."""
        kind = Ranking if self.group_dependency is None else LedRanking
        return kind(chosen.all, Magnitude(average=True), RANKED[self.group_type], lambda scene: self.desired_sparsity)
