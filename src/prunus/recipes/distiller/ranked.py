"""What pruners that rank share: exact counts of a schedule's level, parameter by parameter."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from prunus.criteria import Criterion
from prunus.keep import exactly, pruned_count
from prunus.recipes.distiller.contract import Rule, Scene, Verdict
from prunus.select import Target
from prunus.structures import Structure

Level = Callable[[Scene], float]


def keep_best(
    weight: Tensor, level: float, criterion: Criterion, structure: Structure, generator: torch.Generator | None = None
) -> Tensor | None:
    """Return flags (groups,) that drop the ⌊level·n⌋ lowest of n groups, exactly; None when that is no group.

    Ties go as everywhere in prunus (the lower index stays), where Distiller drops every group that ties with the last.

    >>> from prunus.criteria import Magnitude
    >>> from prunus.structures import Element
    >>> keep_best(torch.ones(5), 0.5, Magnitude(), Element()).tolist()
    [True, True, True, False, False]
    """
    groups = structure.groups(weight.shape)
    dropped = pruned_count(level, groups)
    if not dropped:
        return None
    scores = criterion.score(weight, structure, generator=generator)
    return exactly([scores], groups - dropped)[0]


def as_verdict(flags: Tensor | None, structure: Structure, weight: Tensor) -> Verdict | None:
    """Return the verdict that keeps the flagged groups, or None for no flags.

    >>> from prunus.structures import Row
    >>> as_verdict(torch.tensor([True, False]), Row(), torch.ones(2, 2)).mask.tolist()
    [[True, True], [False, False]]
    """
    return None if flags is None else Verdict(structure.expand(flags, weight.shape))


@dataclass(eq=False)
class Ranking(Rule):
    """Rank each parameter by itself and drop the share that ``level`` asks for at the moment."""

    chosen: Sequence[Target]
    criterion: Criterion
    structure: Structure
    level: Level

    def masks(self, scene: Scene) -> Mapping[str, Verdict]:
        """Return a verdict for every parameter of which something goes."""
        found = {target.name: self._verdict(target, scene) for target in self.chosen}
        return {name: verdict for name, verdict in found.items() if verdict is not None}

    def _verdict(self, target: Target, scene: Scene) -> Verdict | None:
        weight = scene.weight(target)
        flags = keep_best(weight, self.level(scene), self.criterion, self.structure, scene.generator)
        return as_verdict(flags, self.structure, weight)


@dataclass(eq=False)
class LedRanking(Ranking):
    """Rank the first parameter, anew at each call, and drop the same groups of all: Distiller's Leader."""

    def masks(self, scene: Scene) -> Mapping[str, Verdict]:
        """Return the leader's choice for every parameter, or nothing where nothing goes."""
        leader = scene.weight(self.chosen[0])
        flags = keep_best(leader, self.level(scene), self.criterion, self.structure, scene.generator)
        found = {target.name: as_verdict(flags, self.structure, scene.weight(target)) for target in self.chosen}
        return {name: verdict for name, verdict in found.items() if verdict is not None}
