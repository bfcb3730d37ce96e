"""What thresholds of pruners and regularizers share: what is above a limit stays; weights are measured once."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from prunus.criteria import Criterion, Magnitude
from prunus.recipes.distiller.contract import Rule, Scene, Verdict
from prunus.select import Target
from prunus.structures import Element, Structure

CRITERIA: Mapping[str, Magnitude] = {"Max": Magnitude(p=math.inf), "Mean_Abs": Magnitude(average=True)}
"""What is held against the threshold of groups: the largest absolute weight of a group, or their mean."""


@dataclass(eq=False)
class Memory:
    """Measure each weight when it is first asked for, and give the same answer ever after.

    >>> import torch
    >>> memory = Memory(lambda weight: (float(weight.sum()),))
    >>> memory.of("fc.weight", torch.ones(2)), memory.of("fc.weight", torch.zeros(2))
    ((2.0,), (2.0,))
    """

    measure: Callable[[Tensor], tuple[float, ...]]
    figures: dict[str, tuple[float, ...]] = field(default_factory=dict)

    def of(self, name: str, weight: Tensor) -> tuple[float, ...]:
        """Return what was measured of the parameter at first."""
        if name not in self.figures:
            self.figures[name] = self.measure(weight)
        return self.figures[name]

    def state_dict(self) -> dict[str, Any]:
        """Return the figures."""
        return {name: list(figures) for name, figures in self.figures.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what :meth:`state_dict` returned."""
        self.figures = {name: tuple(figures) for name, figures in state.items()}


def nothing(weight: Tensor) -> tuple[float, ...]:
    """Measure nothing.

    >>> import torch
    >>> nothing(torch.ones(2))
    ()
    """
    return ()


@dataclass(eq=False)
class Remembering(Rule):
    """Base of rules that go by what weights were like when first asked.

    Args:
        chosen: the parameters.
        limit: the limit of a parameter in a scene, told what was measured of it at first.
        memory: what is measured.

    >>> Remembering.masks is Thresholding.masks
    True
    """

    chosen: Sequence[Target]
    limit: Callable[[Target, Scene, tuple[float, ...]], float]
    memory: Memory = field(default_factory=lambda: Memory(nothing))

    def masks(self, scene: Scene) -> Mapping[str, Verdict]:
        """Return a verdict for every parameter."""
        return {target.name: self._verdict_on(target, scene) for target in self.chosen}

    def _verdict_on(self, target: Target, scene: Scene) -> Verdict:
        weight = scene.weight(target)
        limit = self.limit(target, scene, self.memory.of(target.name, weight))
        return Verdict(self.keep(target, weight, limit, scene))

    @abstractmethod
    def keep(self, target: Target, weight: Tensor, limit: float, scene: Scene) -> Tensor:
        """Return the mask of a parameter, given its limit."""

    def state_dict(self) -> dict[str, Any]:
        """Return what was measured."""
        return self.memory.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what :meth:`state_dict` returned."""
        self.memory.load_state_dict(state)


@dataclass(eq=False)
class Thresholding(Remembering):
    """Keep the groups of each parameter whose value is above its limit of the moment.

    Args:
        criterion: the value of a group.
        structure: the groups, by the parameter's name; single weights where there is none.

    >>> import torch
    >>> from prunus.recipes.distiller.contract import Scene
    >>> from prunus.select import targets
    >>> from prunus.window import Span
    >>> layer = torch.nn.Linear(2, 1)
    >>> _ = layer.weight.data.copy_(torch.tensor([[0.1, -0.3]]))
    >>> rule = Thresholding(targets(layer)[:1], lambda target, scene, figures: 0.2)
    >>> rule.masks(Scene(0, 0.0, Span(0, 5)))["weight"].mask
    tensor([[False,  True]])
    """

    criterion: Criterion = field(default_factory=Magnitude)
    structure: Mapping[str, Structure] = field(default_factory=dict)

    def keep(self, target: Target, weight: Tensor, limit: float, scene: Scene) -> Tensor:
        """Return the mask of what is above the limit."""
        structure = self.structure.get(target.name, Element())
        return structure.expand(self.criterion.score(weight, structure) > limit, weight.shape)
