"""Sharing a count among tensors so that the summed cost is least."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple


@dataclass(frozen=True)
class Curve:
    """What it costs to prune so many members of one tensor: measured points, straight lines between them.

    ``counts`` rise from 0, ``costs`` are measured there (0 at 0), ``size`` is the number of weights of a member.

    >>> Curve((0, 10, 20), (0.0, 1.0, 5.0)).cost(15)
    3.0
    """

    counts: tuple[int, ...]
    costs: tuple[float, ...]
    size: int = 1

    def cost(self, count: int) -> float:
        """Return the cost of pruning ``count`` members, at most the last of ``counts``."""
        if count >= self.counts[-1]:
            return self.costs[-1]
        place = bisect_right(self.counts, count) - 1
        low, high = self.counts[place], self.counts[place + 1]
        share = (count - low) / (high - low)
        return self.costs[place] + share * (self.costs[place + 1] - self.costs[place])


class _Stretch(NamedTuple):
    """A piece of one curve's hull: what a weight costs there, whose it is, how many members it has."""

    slope: float
    place: int
    members: int


def cheapest(curves: Sequence[Curve], weights: int) -> list[int]:
    """Return how many members to prune of each tensor so that ``weights`` go and the summed cost is small.

    Each curve is replaced by its lower convex hull; stretches are taken whole, cheapest weight first, the last one in
    part. Where curves are convex and members single weights, no other choice costs less. Otherwise at most one tensor
    stops inside a stretch, and the sum is above the least by at most that tensor's distance from its hull. Where a
    group does not fit any more, tensors with smaller ones are next.

    >>> cheapest([Curve((0, 10), (0.0, 1.0)), Curve((0, 5, 10), (0.0, 0.1, 3.0))], 8)
    [3, 5]
    """
    taken, left = [0] * len(curves), weights
    stretches = [piece for place, curve in enumerate(curves) for piece in _hull(place, curve)]
    for piece in sorted(stretches, key=lambda piece: piece.slope):  # stable: a curve's own stretches stay in order
        count = min(piece.members, left // curves[piece.place].size)
        taken[piece.place] += count
        left -= count * curves[piece.place].size
    return taken


def _hull(place: int, curve: Curve) -> list[_Stretch]:
    """Return the stretches of the lower convex hull, left to right."""
    corners: list[tuple[int, float]] = []
    for point in zip(curve.counts, curve.costs, strict=True):
        while len(corners) > 1 and _slope(corners[-2], corners[-1]) >= _slope(corners[-1], point):
            corners.pop()
        corners.append(point)
    return [_Stretch(_slope(a, b) / curve.size, place, b[0] - a[0]) for a, b in pairwise(corners)]


def _slope(one: tuple[int, float], other: tuple[int, float]) -> float:
    return (other[1] - one[1]) / (other[0] - one[0])
