"""The native step, asked directly: any grid, any place in memory, any number of threads, and the bits of its twin."""

from __future__ import annotations

import math
from typing import NamedTuple

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from prunus import _native
from prunus._native import stepping
from prunus._native.stepping import GROUPED, LINBREG, MOMENTUM, PLAIN, POSITIVE, PROXSGD, SOFT, Lay, Numbers, Steps

pytestmark = pytest.mark.skipif(not _native.available(), reason=f"no native kernels: {_native.why_not()}")
# Halves and small whole numbers: sums of their squares are exact in any order, so nothing is left to tolerance.
NUMBERS = Numbers(lr=1.0, momentum=0.5, decay=1.0, lamda=2.0)
RUNS = [1, 2, 9, 31, 33, 63, 64, 65, 479, 480, 481]
GRIDS = st.one_of(
    st.tuples(st.integers(1, 60), st.just(1), st.just(1), st.sampled_from(RUNS)),
    st.tuples(st.just(1), st.sampled_from([2, 31, 33]), st.sampled_from([2, 64, 2047, 2049, 2559, 2561]), st.just(1)),
    st.tuples(st.integers(1, 3), st.sampled_from([2, 40]), st.integers(2, 9), st.sampled_from(RUNS)),
    st.just((2, 3, 2561, 9)),
    st.just((1, 1, 1, 300_007)),
    st.just((2, 64, 4200, 1)),
)


class One(NamedTuple):
    """A weight, what moves it, and what became of both."""

    weight: Tensor
    grad: Tensor
    dual: Tensor
    moment: Tensor


def drawn(size: int, offset: int) -> One:
    """Tensors that start anywhere and end with their memory."""
    return One(*[torch.randint(-2, 3, (size + offset,)).float()[offset:] for _ in range(4)])


def twin(rule: int, lay: Lay, one: One) -> One:
    """Write the formulas down, one tensor operation each."""
    grad, (weight, _, dual, moment) = one.grad + NUMBERS.decay * one.weight, one
    if rule == MOMENTUM:
        moment = NUMBERS.momentum * moment + (1 - NUMBERS.momentum) * grad
    moved = (weight if rule == PROXSGD else dual) - (moment if rule == MOMENTUM else grad)
    dual = dual if rule == PROXSGD else moved
    return One(prox(lay, moved), one.grad.clone(), dual.clone(), moment.clone())


def prox(lay: Lay, x: Tensor) -> Tensor:
    level = NUMBERS.lamda * lay.price
    if lay.kind == PLAIN or (lay.kind == GROUPED and not level):
        return x
    if lay.kind != GROUPED:
        return x - x.clamp(-level, level) if lay.kind == SOFT else (x - level).clamp(min=0.0)
    grouped = x.view(lay.grid)
    # torch's own roots of float32 are not always the nearest
    norms = grouped.double().square().sum((1, 3), keepdim=True).sqrt().float()
    factors = (1 - torch.tensor(level) / norms).where(norms > level, 0.0)
    return (grouped * factors + 0.0).view(-1)


def run(rule: int, lays: list[Lay], ones: list[One], threads: int, cache: int) -> Steps:
    states = [{PROXSGD: [], LINBREG: [one.dual], MOMENTUM: [one.dual, one.moment]}[rule] for one in ones]
    torch.set_num_threads(threads)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(stepping, "ENOUGH", 1)
            patch.setattr(stepping, "last_cache", lambda: cache)
            steps = Steps([one.weight for one in ones], states, lays)
            steps.run(rule, NUMBERS, [one.grad for one in ones])
    finally:
        torch.set_num_threads(1)
    return steps


KINDS = st.sampled_from([PLAIN, SOFT, POSITIVE, GROUPED, GROUPED])


@given(
    st.sampled_from([LINBREG, MOMENTUM, PROXSGD]),
    st.lists(st.tuples(GRIDS, KINDS, st.sampled_from([0.0, 1.0, 4.0]), st.integers(0, 5)), min_size=1, max_size=3),
    st.sampled_from([(1, 1 << 30), (2, 1 << 30), (3, 0), (7, 0)]),
)
def test_a_step_is_that_of_its_twin_bit_for_bit(rule: int, drafts: list, team: tuple[int, int]) -> None:
    ones = [drawn(math.prod(grid), offset) for grid, _, _, offset in drafts]
    lays = [Lay(kind, price, grid) for grid, kind, price, _ in drafts]
    twins = [twin(rule, lay, one) for lay, one in zip(lays, ones, strict=True)]
    steps = run(rule, lays, ones, *team)
    for lay, found, wanted, alive in zip(lays, ones, twins, steps.alive, strict=True):
        assert all(map(torch.equal, found, wanted)) and alive == int(wanted.weight.count_nonzero())
        shrunk = lay.kind != PLAIN and lay.price > 0
        assert not shrunk or not torch.signbit(found.weight[found.weight == 0]).any()
