"""Scans and curvess that are wrong in one way each, and the test that catches each of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

from prunus.errors import SettingError
from prunus.measure import _bench, _sheet, curves, scan
from prunus.select import Target
from tests.measure import test_allocation as shares
from tests.measure import test_sensitivity as scans

FOLDER: dict[str, Any] = {"tmp_path": None}
FAILING: dict[str, Any] = {"error": ValueError, "fails_at": 2}


@contextmanager
def masks_that_stay(target: Target, mask: torch.Tensor) -> Iterator[None]:
    """As Distiller's: levels add up on one copy."""
    with torch.no_grad():
        target.parameter.masked_fill_(mask, 0.0)
    yield


@contextmanager
def restored_when_all_goes_well(target: Target, mask: torch.Tensor) -> Iterator[None]:
    copy = target.parameter.detach().clone()
    with torch.no_grad():
        target.parameter.masked_fill_(mask, 0.0)
    yield
    with torch.no_grad():
        target.parameter.copy_(copy)


@contextmanager
def restored_by_adding(target: Target, mask: torch.Tensor) -> Iterator[None]:
    lost = target.parameter.detach() * mask
    with torch.no_grad():
        target.parameter.masked_fill_(mask, 0.0)
    try:
        yield
    finally:
        with torch.no_grad():
            target.parameter.add_(lost)


@contextmanager
def disturbed(self: Any) -> Iterator[None]:
    yield


def twice(bench: Any, jobs: Any, workers: int) -> Iterator[Any]:
    for job in jobs:
        bench.read(*job)
        yield bench.read(*job)


def lines_with_a_broken_end(self: Any) -> list[bytes]:
    return self.path.read_bytes().splitlines() if self.path.exists() else []


def steepest_first(found: Any, weights: int) -> list[int]:
    pieces = [piece for place, curve in enumerate(found) for piece in curves._hull(place, curve)]
    taken = [0] * len(found)
    for piece in sorted(pieces, key=lambda piece: -piece.slope):
        count = min(piece.members, weights)
        taken[piece.place], weights = taken[piece.place] + count, weights - count
    return taken


def equal_shares(curves: Any, weights: int) -> list[int]:
    taken = [0] * len(curves)
    while weights:
        for place, curve in enumerate(curves):
            if weights and taken[place] < curve.counts[-1]:
                taken[place], weights = taken[place] + 1, weights - 1
    return taken


def no_hull(place: int, curve: Any) -> list[Any]:
    points = list(zip(curve.counts, curve.costs, strict=True))
    return [curves._Stretch(curves._slope(a, b), place, b[0] - a[0]) for a, b in pairwise(points)]


Bench, Sheet = _bench.Bench, _sheet.Sheet
ONE_MASK = scans.test_n_times_l_evaluations_and_one_dense_and_no_mask_of_another_cell
SAME_DRAWS = scans.test_every_evaluation_draws_the_same_and_the_callers_generator_stays
LEFT_ALONE = scans.test_the_model_is_left_as_it_was
GOES_ON = scans.test_a_scan_that_was_killed_goes_on_and_ends_the_same
OTHER_FILE = scans.test_a_file_of_another_scan_is_refused_with_every_difference
PLANTED: list[tuple[Any, str, Any, Any, dict[str, Any]]] = [
    (_bench, "_without", masks_that_stay, LEFT_ALONE, {}),
    (_bench, "_without", masks_that_stay, ONE_MASK, {}),
    (_bench, "_without", restored_when_all_goes_well, scans.test_also_when_the_metric_raises, FAILING),
    (_bench, "_without", restored_by_adding, LEFT_ALONE, {}),
    (Bench, "_undisturbed", disturbed, LEFT_ALONE, {}),
    (Bench, "_undisturbed", disturbed, scans.test_a_metric_that_changes_the_model_is_refused, {}),
    (Bench, "_undisturbed", disturbed, SAME_DRAWS, {}),
    (scan, "readings", twice, ONE_MASK, {}),
    (Sheet, "_lines", lines_with_a_broken_end, GOES_ON, FOLDER),
    (_sheet, "digest", lambda model: "", OTHER_FILE, FOLDER),
    (_sheet, "same", lambda one, other: True, OTHER_FILE, FOLDER),
    (shares, "cheapest", steepest_first, shares.test_nothing_costs_less_where_curves_are_convex, {}),
    (shares, "cheapest", equal_shares, shares.test_nothing_costs_less_where_curves_are_convex, {}),
    (curves, "_hull", no_hull, shares.test_with_bumps_the_least_cost_is_missed_by_one_tensors_bump_at_most, {}),
]


@pytest.mark.parametrize("planted", PLANTED, ids=[f"{one[2].__name__}-{one[3].__name__}" for one in PLANTED])
def test_the_test_catches_it(planted: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place, name, wrong, test, arguments = planted
    monkeypatch.setattr(place, name, wrong)
    with pytest.raises((AssertionError, pytest.fail.Exception, SettingError)):
        test(**(arguments if arguments is not FOLDER else {"tmp_path": tmp_path}))
