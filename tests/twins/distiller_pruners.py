"""Distiller's pruners, written down plainly: loops over plain numbers, from the formulas of the reference.

With what is required in place of its defects: exactly ⌊s·n⌋ groups go, and of equal ones the last.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Index = tuple[int, ...]


def places(weight: Tensor) -> list[Index]:
    """Every index of a weight, in row-major order."""
    return list(itertools.product(*(range(size) for size in weight.shape)))


def grouped(weight: Tensor, key: Callable[[Index], object]) -> dict[object, list[Index]]:
    """The places of each group, groups in the order in which they are met."""
    groups: dict[object, list[Index]] = {}
    for place in places(weight):
        groups.setdefault(key(place), []).append(place)
    return groups


def blocks(weight: Tensor, repetitions: int, depth: int) -> dict[object, list[Index]]:
    """The groups of a block shape [repetitions, depth, 1, 1], in order."""
    channels = weight.shape[1]
    if depth == 1:
        found = grouped(weight, lambda at: (at[0] // repetitions, *at[1:]))
    else:
        found = grouped(weight, lambda at: ((at[0] * channels + at[1]) // (repetitions * depth), *at[2:]))
    return dict(sorted(found.items()))


KEYS: dict[str, Callable[[Index], object]] = {
    "element": lambda at: at,
    "2D": lambda at: at[:2],
    "3D": lambda at: at[0],
    "Filters": lambda at: at[0],
    "Channels": lambda at: at[1],
    "input features": lambda at: at[1],
    "Rows": lambda at: at[0],
    "Cols": lambda at: at[1],
}


def mask_of(weight: Tensor, groups: dict[object, list[Index]], kept: Sequence[bool]) -> Tensor:
    mask = torch.zeros(weight.shape, dtype=torch.bool)
    for stays, group in zip(kept, groups.values(), strict=True):
        for place in group:
            mask[place] = stays
    return mask


def lowest_go(scores: Sequence[float], level: float) -> list[bool]:
    """Flags that drop the ⌊level·n⌋ lowest; of equal ones, the last."""
    count = math.floor(level * len(scores) + 1e-9)
    order = sorted(range(len(scores)), key=lambda at: (scores[at], -at))
    return [at not in order[:count] for at in range(len(scores))]


def values(weight: Tensor, group: list[Index]) -> list[float]:
    return [float(weight[place]) for place in group]


def length_per_element(numbers: list[float], p: int) -> float:
    return math.fsum(abs(number) ** p for number in numbers) ** (1 / p) / len(numbers)


def mean(numbers: Sequence[float]) -> float:
    return math.fsum(numbers) / len(numbers)


def deviation(numbers: Sequence[float]) -> float:
    """Unbiased."""
    middle = mean(numbers)
    return math.sqrt(math.fsum((number - middle) ** 2 for number in numbers) / (len(numbers) - 1))


def ranked(weight: Tensor, level: float, p: int, groups: dict[object, list[Index]]) -> Tensor:
    scores = [length_per_element(values(weight, group), p) for group in groups.values()]
    return mask_of(weight, groups, lowest_go(scores, level))


def above(weight: Tensor, limit: float) -> Tensor:
    groups = grouped(weight, KEYS["element"])
    return mask_of(weight, groups, [abs(float(weight[at[0]])) > limit for at in groups.values()])


def sensitivity(weight: Tensor, first: Tensor, factor: float) -> Tensor:
    """``first`` is the weight as it was when the policy fired first."""
    return above(weight, factor * deviation(first.flatten().tolist()))


def spliced(
    weight: Tensor, first: Tensor, before: Tensor | None, factor: float, low: float, high: float, grown: float
) -> Tensor:
    sizes = [abs(number) for number in first.flatten().tolist()]
    middle = mean(sizes) + deviation(sizes) * factor * grown
    mask = torch.ones(weight.shape, dtype=torch.bool) if before is None else before.clone()
    for place in places(weight):
        size = abs(float(weight[place]))
        if size < middle * low:
            mask[place] = False
        elif size >= middle * high:
            mask[place] = True
    return mask


def baidu(epoch: int, q: float, offset: int, mult: float, start: int, end: int, frequency: int) -> float:
    ramp = start + offset
    slope = 2 * q * frequency / (2 * (ramp - start) + 3 * (end - ramp))
    if epoch < ramp:
        return slope * (epoch - start + 1) / frequency
    return (slope * (ramp - start + 1) + slope * mult * (epoch - ramp + 1)) / frequency


def thresholded(weight: Tensor, limit: float, group: str, criterion: str) -> Tensor:
    groups = grouped(weight, KEYS[group])
    measure: Callable[[list[float]], float] = max if criterion == "Max" else mean
    kept = [measure([abs(number) for number in values(weight, places)]) > limit for places in groups.values()]
    return mask_of(weight, groups, kept)


def by_gradient(weight: Tensor, gradient: Tensor, level: float) -> Tensor:
    groups = grouped(weight, KEYS["Filters"])
    products = weight * gradient
    return mask_of(weight, groups, lowest_go([math.fsum(values(products, one)) for one in groups.values()], level))


def by_activations(weight: Tensor, batches: Sequence[Tensor], level: float, figure: str, drop_least: bool) -> Tensor:
    """Filters by the share of zeros in percent ("APoZ"), or by the mean, over all values of each channel."""
    figures = []
    for channel in range(len(weight)):
        seen = [float(number) for batch in batches for number in batch[:, channel].flatten()]
        zeros = 100 * (1 - mean([float(number != 0) for number in seen]))
        figures.append(zeros if figure == "APoZ" else mean(seen))
    scores = figures if drop_least else [-one for one in figures]
    return mask_of(weight, grouped(weight, KEYS["Filters"]), lowest_go(scores, level))
