"""RegSoftBernoulli: the soft threshold, with a coin that keeps a few weights alive."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from prunus.errors import require_count, require_fraction
from prunus.regularizers.base import Regularizer, wide


@dataclass
class RegSoftBernoulli(Regularizer):
    r"""Charge the sum of absolute values, but lift a random few entries to size at least 1 instead of letting them die.

    .. math:: J(x) = \lambda \sum_i |x_i|, \qquad \mathrm{prox}(x, \delta)_i =
              \mathrm{sign}(x_i) \max(|x_i| - \delta\lambda, B_i, 0), \qquad B_i \sim \mathrm{Bernoulli}(p)

    The map is no proximal map of J, hence ``convex = False``; with probability 0 it is RegL1's. Coins come from the
    regularizer's own generator on the CPU, so a seed means the same on every device; ``state_dict`` saves it.

    Args:
        lamda: strength, at least 0.
        probability: chance that an entry is lifted, in [0, 1].
        seed: seed of the generator, a whole number of at least 0.

    Shapes: any. Use it to explore from a very sparse start; its noise never ends, so finish training with RegL1.
    Source: reference implementation of Bungert, Roith, Tenbrinck and Burger (2022).

    >>> RegSoftBernoulli(0.5, probability=0.5, seed=1).prox(torch.full((4,), -0.75))
    tensor([-0.2500, -1.0000, -1.0000, -0.2500])
    """

    name: ClassVar[str] = "soft_bernoulli"
    convex: ClassVar[bool] = False
    random: ClassVar[bool] = True

    probability: float = 0.01
    seed: int = 0
    generator: torch.Generator = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        require_fraction("probability", self.probability)
        require_count("seed", self.seed, low=0)
        self.generator = torch.Generator().manual_seed(self.seed)

    def __call__(self, x: Tensor) -> Tensor:
        """Return lamda times the sum of absolute values; nothing random."""
        return self.lamda * x.abs().sum(dtype=wide(x.dtype))

    def prox(self, x: Tensor, delta: float = 1.0) -> Tensor:
        """Return the soft threshold of ``x``, lifted where the coin fell; every call tosses anew."""
        shrunk = x.abs().sub(self.threshold(x.shape, delta))
        coins = torch.rand(x.shape, generator=self.generator) < self.probability
        return (x.sign() * torch.maximum(shrunk, coins.to(x))).add_(0.0)  # a coin is never below 0

    def sub_grad(self, v: Tensor) -> Tensor:
        """Return lamda·sign(v), 0 at 0."""
        return v.sign() * self.lamda

    def lambda_max(self, x: Tensor, delta: float = 1.0) -> float:
        """Return RegL1's figure with probability 0; else infinity, since any entry may be lifted."""
        smallest = super().lambda_max(x, delta)
        return smallest if self.probability == 0.0 or smallest == 0.0 else math.inf

    def state_dict(self) -> dict[str, Tensor]:
        """Return the state of the generator."""
        return {"generator": self.generator.get_state()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Put the generator back, so that the coins go on where they stopped."""
        super().load_state_dict(state)
        self.generator.set_state(state["generator"].cpu())
