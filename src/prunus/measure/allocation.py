"""How sparse each tensor should be for a wanted total, read off a sensitivity scan."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Literal, NamedTuple

from prunus.errors import SettingError, require_fraction, require_known
from prunus.keep import pruned_count
from prunus.measure.readings import Reading, Sensitivity

Mode = Literal["max", "min"]
"""Whether more of a metric is better ("max", accuracy) or less ("min", loss)."""
MODES = ("max", "min")


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
        places = range(len(self.counts) - 1)
        place = next((i for i in places if count < self.counts[i + 1]), max(0, len(self.counts) - 2))
        if count >= self.counts[-1]:
            return self.costs[-1]
        low, high = self.counts[place], self.counts[place + 1]
        share = (count - low) / (high - low)
        return self.costs[place] + share * (self.costs[place + 1] - self.costs[place])


@dataclass(frozen=True)
class Share:
    """What one tensor gives: ``pruned`` of ``members`` (of ``size`` weights each) at a predicted ``cost`` in metric.

    >>> Share("fc.weight", pruned=1, members=3, size=1, cost=0.01).level
    0.4
    """

    target: str
    pruned: int
    members: int
    size: int
    cost: float

    @property
    def level(self) -> float:
        """The sparsity with the fewest decimals that prunes exactly this count."""
        if not self.pruned:
            return 0.0
        share = Fraction(self.pruned, self.members)
        for digits in range(1, 17):
            level = float(math.ceil(share * 10**digits) / 10**digits)
            if level <= 1 and pruned_count(level, self.members) == self.pruned:
                return level
        return self.pruned / self.members


def allocate(scan: Sensitivity, sparsity: float, *, metric: str | None = None, mode: Mode = "max") -> tuple[Share, ...]:
    r"""Choose how much each tensor gives, so that the summed cost is least and the total is met.

    .. math:: \min_k \sum_t c_t(k_t) \quad \text{with} \quad \sum_t k_t m_t = \lfloor s \textstyle\sum_t n_t \rfloor

    The cost c of a tensor is what the metric lost when it alone was pruned, linear between the levels; m is the size of
    a member. See :func:`cheapest` for how, and how good, the choice is. With groups the total is the largest that whole
    groups reach without exceeding it.

    Args:
        scan: what :func:`prunus.measure.sensitivity` returned.
        sparsity: wanted share of zeros among all weights of its targets, in [0, 1].
        metric: by name. Default: the first one.
        mode: "max" when more of it is better, "min" when less is.

    Raises:
        SettingError: an unknown metric or mode, a sparsity that the levels do not reach, a structure that is one
            sparsity (n:m).

    Warns UserWarning when the most pruned models come out better than the dense one: the mode is then the other one.
    Use it for levels to start from, and train afterwards. Costs are added as if tensors did not interact.
    Source: greedy marginal allocation, Fox, Operations Research 14(3), 1966.

    >>> rows = [Reading(t, s, int(100 * s), 100, 100, {"loss": 1 + c}) for t, s, c in
    ...         [("a", 0.5, 0.0), ("a", 0.9, 0.1), ("b", 0.5, 0.2), ("b", 0.9, 2.0)]]
    >>> [(share.target, share.level) for share in allocate(Sensitivity({"loss": 1.0}, tuple(rows)), 0.6, mode="min")]
    [('a', 0.9), ('b', 0.3)]
    """
    require_fraction("sparsity", sparsity)
    require_known("mode", mode, MODES)
    if scan.structure.level is not None:
        raise SettingError(f"{scan.structure!r} is one sparsity, so there is nothing to choose: Prune all, or exclude")
    name = scan.named(metric)
    readings = [scan.of(target) for target in scan.targets]
    curves = [_curve(found, scan.dense[name], name, mode) for found in readings]
    _warn_of_mode(readings, scan.dense[name], name, mode)
    asked = pruned_count(sparsity, scan.weights)
    most = sum(curve.counts[-1] * curve.size for curve in curves)
    if most < asked:
        raise SettingError(
            f"sparsity is {sparsity}, but the levels that were measured reach {most / scan.weights:.4f}; "
            f"measure higher ones than {max(row.level for row in scan.rows):g}"
        )
    return tuple(
        Share(found[0].target, count, found[0].members, curve.size, curve.cost(count))
        for found, curve, count in zip(readings, curves, cheapest(curves, asked), strict=True)
    )


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


def _curve(found: Sequence[Reading], dense: float, metric: str, mode: Mode) -> Curve:
    """Return one target's curve, which ends before its first figure that is no number."""
    points = {0: 0.0}
    for reading in found:
        cost = _cost(reading, dense, metric, mode)
        if not math.isfinite(cost):
            break
        points[reading.pruned] = cost
    return Curve(tuple(points), tuple(points.values()), found[0].weights // max(1, found[0].members))


def _cost(reading: Reading, dense: float, metric: str, mode: Mode) -> float:
    lost = dense - reading.metrics[metric]
    return lost if mode == "max" else -lost


def _warn_of_mode(readings: Sequence[Sequence[Reading]], dense: float, metric: str, mode: Mode) -> None:
    costs = [cost for found in readings if math.isfinite(cost := _cost(found[-1], dense, metric, mode))]
    if costs and sum(costs) < 0:
        other = "min" if mode == "max" else "max"
        warnings.warn(
            f"the models with most pruned have a better {metric} than the dense one; did you mean mode={other!r}?",
            UserWarning,
            stacklevel=3,
        )
