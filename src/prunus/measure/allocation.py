"""How sparse each tensor should be for a wanted total, read off a sensitivity scan."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from prunus.errors import SettingError, require_fraction, require_known
from prunus.keep import pruned_count
from prunus.measure.curves import Curve, cheapest
from prunus.measure.readings import Reading, Sensitivity

Mode = Literal["max", "min"]
"""Whether more of a metric is better ("max", accuracy) or less ("min", loss)."""
MODES = ("max", "min")


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
    if sum(costs) < 0:
        other = "min" if mode == "max" else "max"
        warnings.warn(
            f"the models with most pruned have a better {metric} than the dense one; did you mean mode={other!r}?",
            UserWarning,
            stacklevel=3,
        )
