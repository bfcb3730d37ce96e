"""What pruners that rank share: exact counts of a schedule's level, parameter by parameter."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from prunus.criteria import Criterion, Magnitude
from prunus.keep import exactly, pruned_count
from prunus.recipes.distiller.contract import Rule, Scene, Verdict
from prunus.select import Target
from prunus.structures import Structure

Level = Callable[[Scene], float]


def keep_best(scores: Tensor, dropped: int) -> Tensor:
    """Return flags (groups,) that drop exactly so many of the lowest scores.

    Ties go as everywhere in prunus (the lower index stays), where Distiller drops every group that ties with the last.

    >>> import torch
    >>> keep_best(torch.ones(5), 2).tolist()
    [True, True, True, False, False]
    """
    return exactly([scores], len(scores) - dropped)[0]


@dataclass(eq=False)
class Choosing(Rule):
    """Rank each parameter by itself and drop the share ⌊level·n⌋ that is asked for at the moment.

    Args:
        chosen: the parameters, in the file's order.
        structure: the groups.
        level: the share, asked once a parameter.
        led: whether the first parameter decides for all, anew at each call: Distiller's Leader.

    >>> Choosing.masks is Ranking.masks
    True
    """

    chosen: Sequence[Target]
    structure: Structure
    level: Level
    led: bool = False

    def masks(self, scene: Scene) -> Mapping[str, Verdict]:
        """Return a verdict for every parameter of which something goes."""
        leaders = self.chosen[:1] if self.led else self.chosen
        flags = [self.flags(target, scene) for target in leaders]
        found = zip(self.chosen, flags * len(self.chosen) if self.led else flags, strict=True)
        return {target.name: self.verdict(kept, target) for target, kept in found if kept is not None}

    def flags(self, target: Target, scene: Scene) -> Tensor | None:
        """Return which groups stay, or None where nothing goes."""
        dropped = pruned_count(self.level(scene), self.structure.groups(target.parameter.shape))
        return keep_best(self.scores(target, scene), dropped) if dropped else None

    @abstractmethod
    def scores(self, target: Target, scene: Scene) -> Tensor:
        """Return what each group is worth (groups,); the lowest go."""

    def verdict(self, flags: Tensor, target: Target) -> Verdict:
        """Return the mask that keeps the flagged groups."""
        return Verdict(self.structure.expand(flags, target.parameter.shape))


@dataclass(eq=False)
class Ranking(Choosing):
    """Choose by a criterion of the weights, with their gradients where it needs them.

    Args:
        criterion: what rates the groups; without one, the absolute values.

    >>> from prunus.structures import Element
    >>> Ranking([], Element(), lambda scene: 0.5).criterion
    Magnitude(p=1.0, average=False)
    """

    criterion: Criterion = field(default_factory=Magnitude)

    def scores(self, target: Target, scene: Scene) -> Tensor:
        """Return the criterion's scores."""
        gradient = target.parameter.grad if self.criterion.needs_gradient else None
        weight = scene.weight(target)
        return self.criterion.score(weight, self.structure, gradient=gradient, generator=scene.generator)
