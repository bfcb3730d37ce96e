"""RegL1, RegL1Pos and RegNone: hand numbers."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from prunus.regularizers import RegL1, RegL1Pos, RegNone
from prunus.regularizers.base import smallest_factor

X = torch.tensor([2.0, 0.3, 0.0, -0.3, -2.0])


def test_hand_numbers():
    reg = RegL1(0.5)
    assert float(reg(X)) == pytest.approx(2.3)
    assert reg.prox(X).tolist() == [1.5, 0.0, 0.0, 0.0, -1.5]
    assert reg.prox(X, 2.0).tolist() == [1.0, 0.0, 0.0, 0.0, -1.0]
    assert reg.sub_grad(X).tolist() == [0.5, 0.5, 0.0, -0.5, -0.5]
    assert (reg.radius((5,)), reg.lambda_max(X), reg.lambda_max(X, 0.5)) == (0.5, 2.0, 4.0)


def test_positive_keeps_nothing_below_zero_but_still_charges_it():
    reg = RegL1Pos(0.5)
    assert float(reg(X)) == pytest.approx(2.3) and reg.domain == "nonnegative"
    assert reg.prox(X).tolist() == [1.5, 0.0, 0.0, 0.0, 0.0]
    assert reg.lambda_max(-X.abs()) == 0.0


def test_none_charges_nothing_and_never_gives_zero():
    reg = RegNone(3.0)
    assert float(reg(X)) == 0.0 and torch.equal(reg.prox(X), X) and reg.prox_(X) is X
    assert (reg.radius((5,)), reg.lambda_max(X), reg.lambda_max(0 * X)) == (0.0, math.inf, 0.0)


def test_value_of_many_halves_does_not_overflow_or_stall():
    assert float(RegL1(0.5)(torch.ones(200_000, dtype=torch.float16))) == 100_000.0
    assert float(RegL1(0.5)(torch.ones(200_000, dtype=torch.bfloat16))) == 100_000.0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("delta", [1.0, 0.1, 0.3, 7.0])
def test_lambda_max_is_exact_in_narrow_types_too(dtype, delta):
    for seed in range(20):
        x = torch.randn(9, generator=torch.Generator().manual_seed(seed)).to(dtype)
        assert RegL1(RegL1().lambda_max(x, delta)).prox(x, delta).eq(0).all()


def test_infinite_weights_stay_infinite():
    assert RegL1(0.5).prox(torch.tensor([math.inf, -math.inf])).tolist() == [math.inf, -math.inf]


def test_views_are_written_where_they_lie():
    table = torch.ones(4, 4)
    RegL1(0.25).prox_(table[:, 1])
    assert table[:, 1].tolist() == [0.75] * 4 and table.sum() == 15.0


positive = st.floats(1e-6, 1e6)


@given(norm=positive, delta=positive, price=positive)
def test_the_smallest_factor_suffices_and_a_hair_less_does_not(norm, delta, price):
    factor = smallest_factor(norm, delta, price)
    assert delta * (factor * price) >= norm > delta * (factor * (1 - 1e-15) * price)
