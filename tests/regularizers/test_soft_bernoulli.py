"""RegSoftBernoulli: the formula with known coins, the share that is lifted, and its settings."""

from __future__ import annotations

import math

import pytest
import torch

from prunus.errors import SettingError
from prunus.regularizers import RegL1, RegSoftBernoulli

X = torch.linspace(-2, 2, 9)


def test_probability_one_lifts_every_entry_but_zero():
    lifted = RegSoftBernoulli(0.5, probability=1.0).prox(X)
    assert torch.equal(lifted, X.sign() * torch.maximum(RegL1(0.5).prox(X).abs(), torch.ones(())))
    assert lifted[4] == 0.0


def test_probability_zero_is_l1():
    reg = RegSoftBernoulli(0.5, probability=0.0)
    assert torch.equal(reg.prox(X), RegL1(0.5).prox(X)) and reg.lambda_max(X) == 2.0
    assert RegSoftBernoulli(0.5).lambda_max(X) == math.inf


def test_share_of_lifted_entries():
    lifted = RegSoftBernoulli(0.5, probability=0.01, seed=3).prox(torch.full((100_000,), -0.1))
    assert set(lifted.tolist()) == {0.0, -1.0} and 900 < int(lifted.ne(0).sum()) < 1100


def test_seeds_differ():
    flat = torch.full((1000,), 0.1)
    draws = [RegSoftBernoulli(0.5, probability=0.5, seed=seed).prox(flat) for seed in (0, 0, 1)]
    assert torch.equal(draws[0], draws[1]) and not torch.equal(draws[0], draws[2])


@pytest.mark.parametrize("wrong", [{"probability": 1.5}, {"probability": -0.1}, {"seed": -1}, {"seed": 0.5}], ids=str)
def test_wrong_settings(wrong):
    with pytest.raises(SettingError, match=next(iter(wrong))):
        RegSoftBernoulli(0.5, **wrong)
