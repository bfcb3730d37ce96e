"""What is random in Distiller's pruners, drawn from a seeded generator."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Generator, Tensor

from prunus.criteria import Criterion, Magnitude
from prunus.errors import SettingError, require_fraction
from prunus.recipes.distiller.structured import Seeded, Settled


def draw(count: int, like: Tensor, generator: Generator, *, normal: bool = False) -> Tensor:
    """Return uniform (or normal) numbers, drawn where the generator lives, so that every device gets the same.

    >>> draw(2, torch.zeros(1), torch.Generator().manual_seed(0))
    tensor([0.4963, 0.7682])
    """
    kind = torch.randn if normal else torch.rand
    return kind(count, generator=generator, dtype=like.dtype, device=generator.device).to(like.device)


@dataclass(frozen=True)
class Noisy(Criterion):
    """Rate as ``base`` does; with probability ``noise`` multiply each score by a draw from N(0, 1).

    >>> from prunus.structures import Row
    >>> Noisy(Magnitude(), 0.0).score(torch.ones(2, 3), Row(), generator=torch.Generator())
    tensor([3., 3.])
    """

    random: ClassVar[bool] = True
    local: ClassVar[bool] = False

    base: Magnitude = field(default_factory=Magnitude)
    noise: float = 0.0

    def _rate(self, groups: Tensor, gradient: Tensor | None, generator: Generator | None) -> Tensor:
        assert generator is not None  # the base class has checked what the member declares
        scores = self.base._rate(groups, gradient, generator)
        if float(draw(1, scores, generator)) >= self.noise:
            return scores
        return scores * draw(len(scores), scores, generator, normal=True)


@dataclass(frozen=True, kw_only=True)
class Noised(Settled, Seeded):
    """Base of those that rate structures by their size, with noise if asked.

    Args:
        noise: at each call, with this probability, every size is multiplied by a draw from N(0, 1).
        group_size: 1; Distiller's larger groups fail or prune nothing.
        seed: of the noise.

    Raises:
        SettingError: a probability outside [0, 1], another group size.

    >>> Noised(group_type="Filters", weights="conv.weight", desired_sparsity=0.5).criterion()
    Magnitude(p=1.0, average=True)
    """

    size: ClassVar[Magnitude] = Magnitude(average=True)

    noise: float = 0.0
    group_size: int = 1

    def __post_init__(self) -> None:
        require_fraction("noise", self.noise)
        if self.group_size != 1:
            raise SettingError(f"group_size is {self.group_size}, expected 1: larger groups never worked in Distiller")
        super().__post_init__()

    def criterion(self) -> Criterion:
        """Return the size, with noise where there is some."""
        return Noisy(self.size, self.noise) if self.noise else self.size


@dataclass(frozen=True)
class RandomLiving(Criterion):
    """Rate each group by a uniform draw, and groups that are all zero below every other.

    What is gone already goes first, so that drawing anew never takes more than was asked for.

    >>> from prunus.structures import Row
    >>> RandomLiving().score(torch.eye(2)[:1].repeat(2, 1) * torch.tensor([[1.0], [0.0]]), Row(),
    ...                      generator=torch.Generator().manual_seed(0))
    tensor([ 0.4963, -1.0000])
    """

    random: ClassVar[bool] = True
    local: ClassVar[bool] = False

    def _rate(self, groups: Tensor, gradient: Tensor | None, generator: Generator | None) -> Tensor:
        assert generator is not None  # the base class has checked what the member declares
        return draw(len(groups), groups, generator).where(groups.any(dim=1), -1.0)
