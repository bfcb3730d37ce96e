"""RandomLevelStructureParameterPruner: a random share of the structures with the smallest mean absolute weight."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from prunus.errors import SettingError, require_fraction
from prunus.recipes.distiller.noise import draw
from prunus.recipes.distiller.ranked import Level
from prunus.recipes.distiller.structured import Seeded


@dataclass(frozen=True, kw_only=True)
class RandomLevelStructureParameterPruner(Seeded):
    """Drop the structures with the smallest mean absolute weight, as many as a share drawn anew each time says.

    Each call draws s ~ U(low, high) for each parameter, one for all under a Leader, and drops ⌊s·n⌋.

    Args:
        group_type, weights, group_dependency, kwargs: as for every ranked pruner.
        sparsity_range: [low, high], fractions.
        seed: of the draws (not in Distiller, which draws from a generator that everything shares).

    Raises:
        SettingError: as for every ranked pruner; a range that is not two fractions, the lower one first.

    >>> RandomLevelStructureParameterPruner(group_type="Filters", weights="conv.weight", sparsity_range=(0.3, 0.1))
    Traceback (most recent call last):
        ...
    prunus.errors.SettingError: sparsity_range is [0.3, 0.1], expected the lower share first
    """

    sparsity_range: tuple[float, float]

    def __post_init__(self) -> None:
        low, high = self.sparsity_range
        require_fraction("sparsity_range", low)
        require_fraction("sparsity_range", high)
        if low > high:
            raise SettingError(f"sparsity_range is {[low, high]}, expected the lower share first")
        super().__post_init__()

    def level(self) -> Level:
        """Return a share drawn at each call."""
        low, high = self.sparsity_range
        double = torch.zeros((), dtype=torch.float64)
        return lambda scene: low + (high - low) * float(draw(1, double, scene.generator))
