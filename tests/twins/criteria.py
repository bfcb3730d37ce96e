"""Slow references for criteria: float64, one group at a time, from the formulas."""

from __future__ import annotations

import math


def magnitude(group: list[float], p: float, average: bool) -> float:
    """Return the p-norm of one group, or its power mean."""
    if math.isinf(p):
        return max(abs(weight) for weight in group)
    total = math.fsum(abs(weight) ** p for weight in group)
    return (total / len(group) if average else total) ** (1 / p)


def gradients(groups, slopes, p):
    """Return the p-norm of each group's gradient."""
    return [magnitude(slope, p, average=False) for slope in slopes]


def lamp(groups, slopes):
    """Return each group's squared length over those of all that are not smaller; of equals, the first is the larger."""
    squares = [math.fsum(weight * weight for weight in group) for group in groups]
    order = sorted(range(len(squares)), key=lambda i: (squares[i], -i))
    scores = [0.0] * len(squares)
    for place, i in enumerate(order):
        rest = math.fsum(squares[j] for j in order[place:])
        scores[i] = squares[i] / rest if rest else 0.0
    return scores


def magnitudes(groups, slopes, p, average):
    """Return the p-norm of each group, or its power mean."""
    return [magnitude(group, p, average) for group in groups]


def taylor(groups, slopes):
    """Return the Euclidean length of weight times gradient in each group."""
    pairs = zip(groups, slopes, strict=True)
    return [math.sqrt(math.fsum((w * g) ** 2 for w, g in zip(*pair, strict=True))) for pair in pairs]


TWINS = {"gradient": gradients, "lamp": lamp, "magnitude": magnitudes, "taylor": taylor}
