"""Magnitude against its float64 twin, by hand, and where powers leave the range of float32."""

from __future__ import annotations

import math
from unittest import mock

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from prunus.criteria import Magnitude
from prunus.errors import SettingError, StructureError
from prunus.structures import Channel, Element, Filter, Kernel, Row
from tests.twins import criteria as twin

powers = st.one_of(st.floats(0.3, 8.0), st.sampled_from([1.0, 2.0, math.inf]))


@pytest.mark.parametrize("chunk", [1, 12, 2**20])
@given(rows=st.integers(1, 5), columns=st.integers(1, 9), p=powers, average=st.booleans(), seed=st.integers(0, 99))
def test_equals_its_twin(rows, columns, p, average, seed, chunk):
    weight = torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    expected = [twin.magnitude(row, p, average) for row in weight.tolist()]
    with mock.patch("prunus.criteria.magnitude.CHUNK", chunk):
        wide, narrow = (Magnitude(p, average).score(each, Row()) for each in (weight, weight.float()))
    assert wide.tolist() == pytest.approx(expected, rel=1e-12)
    assert narrow.tolist() == pytest.approx(expected, rel=1e-5)


def test_groups_of_a_convolution_by_hand():
    weight = torch.tensor([[1.0, -2.0], [3.0, 4.0]]).reshape(2, 2, 1, 1).expand(2, 2, 1, 2)
    assert Magnitude().score(weight, Filter()).tolist() == [6.0, 14.0]
    assert Magnitude().score(weight, Channel()).tolist() == [8.0, 12.0]
    assert Magnitude().score(weight, Kernel()).tolist() == [2.0, 4.0, 6.0, 8.0]
    assert Magnitude(average=True).score(weight, Filter()).tolist() == [1.5, 3.5]
    assert Magnitude(p=math.inf).score(weight, Filter()).tolist() == [2.0, 4.0]


@pytest.mark.parametrize("p", [0.5, 1, 2, 3, 1000, math.inf])
def test_single_weights_score_their_absolute_value_bit_for_bit(p):
    weight = torch.tensor([1e-40, -1e-20, 0.1, -3e38, 0.0, -math.inf])
    assert torch.equal(Magnitude(p).score(weight, Element()), weight.abs())


@pytest.mark.parametrize("p", [0.5, 1, 2, 3, 1000, math.inf])
@pytest.mark.parametrize("average", [False, True])
def test_zero_infinite_and_extreme_groups_are_ordered_and_never_nan(p, average):
    rows = [[0.0, 0.0], [1e-38, 0.0], [1e-37, 1e-38], [1.0, 1.0], [1e38, 0.0], [math.inf, 1.0]]
    scores = Magnitude(p, average).score(torch.tensor(rows), Row()).tolist()
    assert scores == sorted(set(scores)) and scores[0] == 0.0 and scores[-1] == math.inf


def test_nan_is_passed_on_for_the_ranking_to_refuse():
    scores = Magnitude(2).score(torch.tensor([[math.nan, 1.0], [3.0, 4.0]]), Row())
    assert scores[0].isnan() and scores[1] == 5.0


def test_bfloat16_rows_that_tie_in_bfloat16_are_told_apart():
    weight = torch.ones(2, 300, dtype=torch.bfloat16)
    weight[1, 0] = 2.0
    scores = Magnitude().score(weight, Row())
    assert scores.tolist() == [300.0, 301.0]
    assert torch.equal(*weight.abs().sum(dim=1))  # bfloat16 itself has no 301


def test_averaged_groups_of_different_sizes_compare():
    small, large = torch.full((1, 4), 0.5), torch.full((1, 400), 0.5)
    for p in (0.01, 0.5, 1, 2, 3, math.inf):
        scores = [Magnitude(p, average=True).score(weight, Row()).item() for weight in (small, large)]
        assert scores == pytest.approx([0.5, 0.5], rel=1e-4)


@pytest.mark.parametrize("p", [0, -1, math.nan, "2", True, None])
def test_other_powers_are_refused(p):
    with pytest.raises(SettingError, match=r"p is .*greater than 0"):
        Magnitude(p)


def test_a_weight_that_does_not_fit_is_refused_by_its_structure():
    with pytest.raises(StructureError):
        Magnitude().score(torch.ones(3), Filter())
