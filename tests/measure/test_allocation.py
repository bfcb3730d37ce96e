"""Sharing a count among tensors: against every other way there is, and against the bound for curves with bumps."""

from __future__ import annotations

import itertools
import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunus.criteria import Magnitude
from prunus.errors import SettingError
from prunus.keep import pruned_count
from prunus.measure import Curve, Reading, Sensitivity, Share, allocate, cheapest
from prunus.structures import NM
from tests.twins import sensitivity as twin

COSTS = st.integers(-4, 16).map(lambda quarter: quarter / 4)


@st.composite
def curves(draw: st.DrawFn, convex: bool = False) -> list[Curve]:
    found = []
    for _ in range(draw(st.integers(1, 3))):
        steps = draw(st.lists(st.integers(1, 4), min_size=1, max_size=5))
        counts = [0, *itertools.accumulate(steps)]
        if convex:
            slopes = sorted(draw(st.lists(COSTS, min_size=len(steps), max_size=len(steps))))
            costs = [0.0, *itertools.accumulate(a * b for a, b in zip(slopes, steps, strict=True))]
        else:
            costs = [0.0, *draw(st.lists(COSTS, min_size=len(steps), max_size=len(steps)))]
        found.append(Curve(tuple(counts), tuple(costs)))
    return found


def summed(found: list[Curve], taken: list[int]) -> float:
    return sum(curve.cost(count) for curve, count in zip(found, taken, strict=True))


def pairs(found: list[Curve]) -> list[tuple[tuple[int, ...], tuple[float, ...]]]:
    return [(curve.counts, curve.costs) for curve in found]


@given(curves(convex=True), st.data())
def test_nothing_costs_less_where_curves_are_convex(found: list[Curve], data: st.DataObject) -> None:
    wanted = data.draw(st.integers(0, sum(curve.counts[-1] for curve in found)))
    taken = cheapest(found, wanted)
    assert sum(taken) == wanted
    assert summed(found, taken) == pytest.approx(twin.least_cost(pairs(found), wanted))


@given(curves(), st.data())
def test_with_bumps_the_least_cost_is_missed_by_one_tensors_bump_at_most(
    found: list[Curve], data: st.DataObject
) -> None:
    wanted = data.draw(st.integers(0, sum(curve.counts[-1] for curve in found)))
    taken = cheapest(found, wanted)
    assert sum(taken) == wanted
    bumps = [curve.cost(count) - hull(curve, count) for curve, count in zip(found, taken, strict=True)]
    assert sum(bump > 1e-9 for bump in bumps) <= 1
    least = twin.least_cost(pairs(found), wanted)
    assert least - 1e-9 <= summed(found, taken) <= least + max(bumps) + 1e-9


def hull(curve: Curve, count: int) -> float:
    """The lowest straight line between two measured points that passes over a count."""
    points = list(zip(curve.counts, curve.costs, strict=True))
    lines = [(a, b) for a, b in itertools.combinations_with_replacement(points, 2) if a[0] <= count <= b[0]]
    return min(x if a == b else x + (y - x) * (count - a) / (b - a) for (a, x), (b, y) in lines)


@given(curves(), st.lists(st.integers(1, 9), min_size=3, max_size=3), st.integers(0, 100))
def test_groups_never_exceed_the_total_and_leave_less_than_the_smallest_free_one(
    found: list[Curve], sizes: list[int], wanted: int
) -> None:
    groups = [Curve(curve.counts, curve.costs, size) for curve, size in zip(found, sizes, strict=False)]
    taken = cheapest(groups, wanted)
    left = wanted - sum(count * curve.size for count, curve in zip(taken, groups, strict=True))
    free = [curve.size for count, curve in zip(taken, groups, strict=True) if count < curve.counts[-1]]
    assert left >= 0 and all(left < size for size in free)


@given(curves(), st.data())
def test_asking_for_more_takes_from_nobody(found: list[Curve], data: st.DataObject) -> None:
    most = sum(curve.counts[-1] for curve in found)
    wanted = data.draw(st.integers(0, most - 1))
    assert all(a <= b for a, b in zip(cheapest(found, wanted), cheapest(found, wanted + 1), strict=True))


def test_free_weights_go_first_and_ties_to_the_earlier_tensor() -> None:
    flat, steep = Curve((0, 5, 10), (0.0, 0.0, 1.0)), Curve((0, 5, 10), (0.0, -0.5, 1.0))
    assert cheapest([flat, steep], 5) == [0, 5] and cheapest([flat, steep], 8) == [3, 5]
    assert cheapest([flat, flat], 7) == [5, 2]
    assert cheapest([], 0) == []


@given(st.integers(1, 10**7), st.data())
def test_a_level_prunes_exactly_its_count_with_few_decimals(members: int, data: st.DataObject) -> None:
    pruned = data.draw(st.integers(0, members))
    level = Share("w", pruned, members, 1, 0.0).level
    assert pruned_count(level, members) == pruned
    decimals = -Decimal(repr(level)).as_tuple().exponent  # type: ignore[operator]
    assert decimals <= max(1, math.ceil(math.log10(members)))


def scan_of(curves: dict[str, list[tuple[float, float]]], members: int = 100, dense: float = 0.9, **more: object):  # type: ignore[no-untyped-def]
    rows = [
        Reading(name, level, round(level * members), members, members, {"accuracy": value})
        for name, found in curves.items()
        for level, value in found
    ]
    return Sensitivity({"accuracy": dense}, tuple(rows), **more)  # type: ignore[arg-type]


SCAN = scan_of({"a": [(0.5, 0.9), (0.9, 0.8)], "b": [(0.5, 0.6), (0.9, 0.1)]})


def test_the_robust_tensor_gives_more_and_the_cost_is_predicted() -> None:
    a, b = allocate(SCAN, 0.6)
    assert (a.pruned, b.pruned) == (90, 30)
    assert a.cost == pytest.approx(0.1) and b.cost == pytest.approx(0.3 * 30 / 50)


@pytest.mark.parametrize("sparsity", [0.0, 0.29, 0.33, 0.5, 0.899, 0.9])
def test_the_total_is_exact(sparsity: float) -> None:
    assert sum(share.pruned for share in allocate(SCAN, sparsity)) == pruned_count(sparsity, 200)


def test_one_level_and_one_member_are_enough() -> None:
    rows = [Reading(name, 1.0, 1, 1, weights, {"accuracy": 0.5}) for name, weights in (("a", 6), ("b", 4))]
    shares = allocate(Sensitivity({"accuracy": 0.9}, tuple(rows)), 0.6)
    assert [(share.target, share.pruned, share.size) for share in shares] == [("a", 1, 6), ("b", 0, 4)]


def test_min_is_max_of_the_negative() -> None:
    loss = {name: [(level, -value) for level, value in SCAN.curve(name)[1:]] for name in SCAN.targets}
    assert allocate(scan_of(loss, dense=-0.9), 0.6, mode="min") == allocate(SCAN, 0.6)


def test_a_diverged_level_and_those_above_it_are_never_chosen() -> None:
    scan = scan_of({"a": [(0.5, 0.89), (0.9, math.nan), (0.95, 0.9)], "b": [(0.5, 0.6), (0.9, 0.1)]})
    assert [share.level for share in allocate(scan, 0.7)] == [0.5, 0.9]
    with pytest.raises(SettingError, match=r"sparsity is 0.8, but the levels that were measured reach 0\.7000"):
        allocate(scan, 0.8)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(SettingError, match=r"reach 0\.9000; measure higher ones than 0\.9"):
        allocate(SCAN, 0.95)
    with pytest.raises(SettingError, match="sparsity is 90"):
        allocate(SCAN, 90)
    with pytest.raises(SettingError, match="Did you mean 'accuracy'"):
        allocate(SCAN, 0.5, metric="acuracy")
    with pytest.raises(SettingError, match="mode is 'maximum'"):
        allocate(SCAN, 0.5, mode="maximum")  # type: ignore[arg-type]
    with pytest.raises(SettingError, match=r"NM\(n=2, m=4\) is one sparsity"):
        allocate(scan_of({"a": [(0.5, 0.8)]}, structure=NM(), criterion=Magnitude()), 0.5)


def test_a_loss_taken_for_an_accuracy_is_noticed() -> None:
    loss = scan_of({"a": [(0.5, 1.0), (0.9, 2.0)]}, dense=0.9)
    with pytest.warns(UserWarning, match="did you mean mode='min'"):
        allocate(loss, 0.5)
    with pytest.warns(UserWarning, match="did you mean mode='max'"):
        allocate(SCAN, 0.5, mode="min")
