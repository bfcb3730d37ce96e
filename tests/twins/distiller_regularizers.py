"""Distiller's regularizers, written down plainly: values and gradients by loops over plain numbers, and their policy.

With what is required in place of its defects: a mean is a mean, masks of thresholds leave those of pruners alone, and
what comes at the end comes after the last firing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from tests.twins.distiller_pruners import KEYS, Index, grouped, mask_of, mean, values

GROUPS: dict[str, Callable[[Index], object]] = {**KEYS, "4D": lambda at: "all"}


def lengths(weight: Tensor, group: str) -> list[float]:
    """A channel's length has 1e-8 under the root."""
    under = 1e-8 if group == "Channels" else 0.0
    groups = grouped(weight, GROUPS[group])
    return [math.sqrt(math.fsum(one**2 for one in values(weight, places)) + under) for places in groups.values()]


def variance(numbers: list[float]) -> float:
    middle = mean(numbers)
    return math.fsum((number - middle) ** 2 for number in numbers) / (len(numbers) - 1)


def value(weight: Tensor, strength: float, kind: str, groups: str) -> float:
    """The term of one parameter: "l1", "lasso" of groups joined by +, or "variance" of channels."""
    if kind == "l1":
        return strength * math.fsum(abs(one) for one in weight.flatten().tolist())
    if kind == "lasso":
        return strength * math.fsum(one for group in groups.split("+") for one in lengths(weight, group))
    return strength / variance(lengths(weight, groups))


def gradient(weight: Tensor, strength: float, kind: str, groups: str) -> Tensor:
    """Of |w|: its sign; of a length: w over it, 0 at 0; of 1/V: -2 (length - mean) / (n - 1) / V² times that."""
    if kind == "l1":
        return strength * weight.sign()
    slopes = torch.zeros_like(weight)
    for group in groups.split("+"):
        found = lengths(weight, group)
        factors = [1.0] * len(found)
        if kind == "variance":
            middle, spread = mean(found), variance(found)
            factors = [-2 * (one - middle) / (len(found) - 1) / spread**2 for one in found]
        for length, factor, places in zip(found, factors, grouped(weight, GROUPS[group]).values(), strict=True):
            for place in places:
                slopes[place] += factor * float(weight[place]) / length if length else 0.0
    return strength * slopes


def above(weight: Tensor, strength: float, groups: str, criterion: str) -> Tensor:
    """The mask of what is above the strength; without a group, of single weights."""
    found = grouped(weight, GROUPS[groups or "element"])
    measure: Callable[[list[float]], float] = max if criterion == "Max" else mean
    kept = [measure([abs(one) for one in values(weight, places)]) > strength for places in found.values()]
    return mask_of(weight, found, kept)


@dataclass
class PlainRegularizer:
    """A policy: strength and groups by parameter, the epochs in which it fires, and what becomes of its threshold."""

    parameters: Mapping[str, Tensor]
    kind: str
    regimes: Mapping[str, tuple[float, str]]
    firings: tuple[int, ...]
    criterion: str | None = None
    keep_mask: bool = False
    kept: dict[str, Tensor] = field(default_factory=dict)

    def after_backward(self, epoch: int) -> None:
        for name, (strength, groups) in self.regimes.items():
            if epoch in self.firings:
                weight = self.parameters[name]
                weight.grad += gradient(weight.detach(), strength, self.kind, groups)

    def after_step(self) -> None:
        for name, mask in self.kept.items():
            self.parameters[name].mul_(mask)

    def on_minibatch_end(self, epoch: int) -> None:
        if epoch in self.firings and self.criterion:
            for name, mask in self.masks(self.criterion).items():
                self.parameters[name].mul_(mask)

    def on_epoch_end(self, epoch: int) -> None:
        if epoch == max(self.firings) and self.criterion and self.keep_mask:
            self.kept = self.masks(self.criterion)

    def masks(self, criterion: str) -> dict[str, Tensor]:
        found = {name: self.parameters[name].detach() for name in self.regimes}
        return {name: above(weight, *self.regimes[name], criterion) for name, weight in found.items()}
