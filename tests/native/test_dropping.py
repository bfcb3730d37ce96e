"""The kernels that drop the smallest take what ranking all would take, in the same order."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from prunus import _native
from prunus._native import ranking
from prunus.errors import ScoreError
from prunus.keep import Edge, edge_of_smallest, exactly
from prunus.optim import AdaBreg
from prunus.regularizers import RegL1
from prunus.steering import SparsityBudget

pytestmark = pytest.mark.skipif(not _native.available(), reason=f"no native kernels: {_native.why_not()}")
VALUES = [None, [0.0, -0.0, 1.0, -1.0, 2.0, 1e-45, math.inf, -math.inf], [0.0, 0.5]]


def drawn(sizes: list[int], values: list[float] | None) -> list[torch.Tensor]:
    if values is None:
        return [torch.randn(size) * (torch.rand(size) < 0.5) for size in sizes]
    return [torch.tensor(values)[torch.randint(len(values), (size,))] for size in sizes]


@given(st.lists(st.integers(0, 70), min_size=1, max_size=3), st.sampled_from(VALUES), st.integers(0, 99))
def test_the_smallest_go_and_of_equals_the_last(sizes: list[int], values: list[float] | None, keep: int) -> None:
    weights, duals = drawn(sizes, values), [torch.randn(size) for size in sizes]
    alive = [weight != 0 for weight in weights]
    count = int(sum(flags.sum() for flags in alive))
    edge = edge_of_smallest(weights, keep)
    assert edge is not None and edge.alive == count
    if count <= keep:
        return
    kept = exactly([weight.abs() for weight in weights], keep, among=alive)
    before, moved, stay = [weight.clone() for weight in weights], [dual.clone() for dual in duals], edge.stay
    for weight, dual in zip(weights, moved, strict=True):
        stay = ranking.drop_(weight, dual, edge.size, stay, 0.25)
    for weight, old, dual, was, stays, lived in zip(weights, before, moved, duals, kept, alive, strict=True):
        assert torch.equal(weight, old.where(stays, 0.0))
        assert torch.equal(dual, torch.where(lived & ~stays, was.clamp(-0.25, 0.25), was))


def test_many_entries_of_one_range_are_told_apart() -> None:
    weight = 1.0 + torch.randperm(100_000) * 2.0**-23
    edge = edge_of_smallest([weight], 30_000)
    assert edge == Edge(100_000, float(weight.sort().values[69_999]), 0)


def test_nan_is_left_to_who_can_name_it() -> None:
    weight = torch.tensor([math.nan, 1.0, 2.0])
    assert edge_of_smallest([weight], 2) is None
    assert edge_of_smallest([weight], 3) == Edge(3, 0.0, 0)


def test_nan_beside_ties_is_not_dropped() -> None:
    weight, dual = torch.tensor([1.0, math.nan, 1.0, 0.5]), torch.ones(4)
    assert ranking.drop_(weight, dual, 1.0, 1, 0.25) == 0
    assert weight.nan_to_num(9.0).tolist() == [1.0, 9.0, 0.0, 0.0] and dual.tolist() == [1.0, 1.0, 0.25, 0.25]


def held(steps: int) -> list[torch.Tensor]:
    dice = torch.Generator().manual_seed(0)
    weights = [torch.nn.Parameter(torch.randn(shape, generator=dice)) for shape in ((9, 8), (33,), (4, 3, 2))]
    optimizer, budget = AdaBreg(weights, lr=0.1, reg=RegL1(0.2)), SparsityBudget(0.6, period=3)
    for step in range(steps):
        for weight in weights:
            weight.grad = weight.detach() - torch.randn(weight.shape, generator=dice).round(decimals=1)
        optimizer.step()
        budget.after_step(optimizer, step, step / steps)
    return [*weights, *[optimizer.state[weight]["sub_grad"] for weight in weights]]


def test_a_budget_is_held_alike_with_kernels_and_without(monkeypatch) -> None:
    native = held(30)
    monkeypatch.setattr("prunus.steering._survivors.edge_of_smallest", lambda *_: None)
    assert all(torch.equal(one, other) for one, other in zip(native, held(30), strict=True))


def test_a_budget_names_a_weight_that_is_nan() -> None:
    weight = torch.nn.Parameter(torch.ones(10))
    optimizer = AdaBreg([weight], lr=0.1, reg=RegL1(0.01))
    weight.grad = torch.ones(10)
    optimizer.step()
    weight.data[3] = math.nan
    with pytest.raises(ScoreError, match="is NaN"):
        SparsityBudget(0.5).after_step(optimizer, 99, 1.0)
