"""Counts by hand, and what global and per-layer budgets do to layers of different scale."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from prunus.criteria import Magnitude
from prunus.scopes import Global, PerLayer, Pool
from prunus.structures import Filter
from tests.twins import scopes as twin


@given(sizes=st.lists(st.integers(0, 5000), max_size=6), hundredths=st.integers(0, 100))
def test_counts_are_the_exact_floor(sizes, hundredths):
    sparsity, decimal = hundredths / 100, f"{hundredths}/100"
    (pool,) = Global().allot(sizes, sparsity)
    assert pool.keep == sum(sizes) - twin.pruned(decimal, sum(sizes))
    assert [pool.keep for pool in PerLayer().allot(sizes, sparsity)] == [n - twin.pruned(decimal, n) for n in sizes]


def test_many_small_layers_fall_short_per_layer_but_not_globally():
    sizes = [3] * 10
    assert sum(pool.keep for pool in PerLayer().allot(sizes, 0.5)) == 20
    assert Global().allot(sizes, 0.5) == [Pool(tuple(range(10)), 15)]


def test_a_layer_of_small_scores_is_emptied_globally_and_spared_per_layer():
    scores = [torch.tensor([0.1, 0.2, 0.3, 0.4]), torch.tensor([1.0, 2.0, 3.0, 4.0])]
    assert [mask.sum().item() for mask in Global().select(scores, 0.5)] == [0, 4]
    assert [mask.sum().item() for mask in PerLayer().select(scores, 0.5)] == [2, 2]


def test_a_reference_that_prunes_one_too_few_or_none_on_ties_is_not_followed():
    eight = torch.arange(8.0)
    assert PerLayer().select([eight], 0.8)[0].sum() == 2
    ones_and_twos = torch.tensor([1.0, 1, 1, 1, 2, 2, 2, 2])
    assert Global().select([ones_and_twos], 0.5)[0].tolist() == [False] * 4 + [True] * 4


def test_pruning_deeper_among_survivors_counts_the_dead():
    scores = [torch.tensor([5.0, 4.0, 3.0, 2.0, 1.0])]
    alive = [torch.tensor([False, True, True, True, True])]
    assert Global().select(scores, 0.4, among=alive)[0].tolist() == [False, True, True, True, False]


@pytest.mark.parametrize("scope", [Global(), PerLayer()], ids=repr)
def test_groups_are_counted_as_members(scope):
    weights = [torch.randn(8, 3, 3, 3), torch.randn(4, 8, 1, 1)]
    scores = [Magnitude(p=2, average=True).score(weight, Filter()) for weight in weights]
    masks = scope.select(scores, 0.5)
    assert [len(mask) for mask in masks] == [8, 4] and sum(int(mask.sum()) for mask in masks) == 6


def test_neither_scores_nor_masks_are_written_to():
    scores, alive = [torch.rand(9)], [torch.rand(9) > 0.5]
    before = scores[0].clone(), alive[0].clone()
    Global().select(scores, 0.7, among=alive)
    assert torch.equal(scores[0], before[0]) and torch.equal(alive[0], before[1])
