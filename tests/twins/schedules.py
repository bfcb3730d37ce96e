"""Levels strictly inside the window, by the formula of each schedule's card written another way."""

from __future__ import annotations

import math


def constant_rate(p, final, initial):
    start, end = (max(1 - level, 1e-9) for level in (initial, final))
    return 1 - math.exp((1 - p) * math.log(start) + p * math.log(end))


def cosine(p, final, initial):
    return final + (initial - final) * math.cos(math.pi * p / 2) ** 2


def cubic(p, final, initial):
    return initial + (final - initial) * (3 * p - 3 * p**2 + p**3)


def exponential(p, final, initial):
    return math.exp((1 - p) * math.log(initial) + p * math.log(final))


def levels(p, levels):
    return next(level for i, level in reversed(list(enumerate(levels))) if p >= i / len(levels))


def linear(p, final, initial):
    return (1 - p) * initial + p * final


def one_shot(p, final):
    return final
