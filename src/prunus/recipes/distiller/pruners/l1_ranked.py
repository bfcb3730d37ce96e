"""L1RankedStructureParameterPruner: whole structures, those with the smallest mean absolute weight."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from prunus.criteria import Magnitude
from prunus.recipes.distiller.noise import Noised
from prunus.recipes.distiller.structured import Gradual


@dataclass(frozen=True, kw_only=True)
class L1RankedStructureParameterPruner(Noised):
    """Drop the ⌊desired_sparsity·n⌋ structures of each parameter with the smallest mean absolute weight.

    Args:
        group_type, desired_sparsity, weights, group_dependency, kwargs: as for every ranked pruner.
        noise: at each call, with this probability, every mean absolute weight is multiplied by a draw from N(0, 1).
        group_size: 1; Distiller's larger groups fail or prune nothing.
        seed: of the noise (not in Distiller, which draws from a generator that everything shares).

    Raises:
        SettingError: an unknown group type or dependency, a fraction outside [0, 1], another group size, no parameter.

    The Leader is rated anew at each call. Source: Li et al. 2017 (arXiv:1608.08710), section 3.1.

    >>> L1RankedStructureParameterPruner(
    ...     group_type="Filters", desired_sparsity=0.5, weights=("conv1.weight", "conv2.weight"),
    ...     group_dependency="leader"
    ... )
    Traceback (most recent call last):
        ...
    prunus.errors.SettingError: group_dependency is 'leader', which is unknown. Did you mean 'Leader'?
    """

    size: ClassVar[Magnitude] = Magnitude(average=True)


@dataclass(frozen=True, kw_only=True)
class L1RankedStructureParameterPruner_AGP(Gradual):
    """Drop the ⌊s(e)·n⌋ structures of each parameter with the smallest mean absolute weight.

    Args:
        group_type, weights, group_dependency, kwargs: as for every ranked pruner.
        initial_sparsity, final_sparsity: shares at the first and at the last firing.

    Raises:
        SettingError: as for every ranked pruner, and where the sparsities do not rise.

    s(e) is that of AutomatedGradualPruner. Source: Li et al. 2017; Zhu and Gupta 2017 (arXiv:1710.01878).

    >>> from prunus.recipes.distiller.blocks import BlockShape
    >>> pruner = L1RankedStructureParameterPruner_AGP(
    ...     group_type="Blocks", kwargs=BlockShape((1, 8, 1, 1)), weights="conv.weight", initial_sparsity=0.05,
    ...     final_sparsity=0.7
    ... )
    >>> pruner.structure
    KernelBlock(kernels=8)
    """
