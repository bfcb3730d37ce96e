"""Levels of gradual pruning, by hand, and the exact counts that come of them."""

from __future__ import annotations

from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from prunus.recipes import distiller
from prunus.recipes.distiller.contract import Scene
from prunus.recipes.distiller.pruners import AutomatedGradualPruner
from prunus.recipes.distiller.pruners.agp import cubic_level
from prunus.window import Window

BY_HAND = [
    # initial, final, start, end, frequency: level by epoch
    ((0.05, 0.8, 0, 38, 2), {0: 0.05, 2: 0.8 - 0.75 * 4913 / 5832, 4: 0.8 - 0.75 * 4096 / 5832, 18: 0.70625, 36: 0.8}),
    ((0.1, 0.9, 5, 15, 5), {5: 0.1, 10: 0.9}),
    ((0.1, 0.9, 5, 16, 5), {5: 0.1, 10: 0.8, 15: 0.9}),
    ((0.1, 0.9, 5, 17, 5), {5: 0.1, 10: 0.8, 15: 0.9}),
    ((0.0, 0.5, 0, 2, 1), {0: 0.0, 1: 0.5}),
    ((0.0, 0.64, 3, 8, 1), {3: 0.0, 4: 0.37, 5: 0.56, 6: 0.63, 7: 0.64}),
]


def level(settings: tuple[float, float, int, int, int], epoch: int) -> float:
    initial, final, start, end, frequency = settings
    span = Window(start, end, frequency).resolve(None)
    return cubic_level(initial, final)(Scene(epoch, span.progress(epoch), span))


@pytest.mark.parametrize(("settings", "levels"), BY_HAND, ids=lambda case: str(case) if isinstance(case, tuple) else "")
def test_levels_by_hand(settings: tuple[float, float, int, int, int], levels: dict[int, float]) -> None:
    assert {epoch: level(settings, epoch) for epoch in levels} == pytest.approx(levels, rel=1e-12, abs=1e-12)


@given(st.integers(0, 50), st.integers(2, 200), st.integers(1, 30), st.integers(0, 99), st.integers(1, 100))
def test_levels_in_exact_arithmetic(start: int, length: int, frequency: int, low: int, more: int) -> None:
    initial, final, end = low / 200, (low + more) / 200, start + length
    span = (length - 1) // frequency * frequency
    for epoch in range(start, end, frequency) if span else ():
        left = 1 - Fraction(epoch - start, span)
        exact = Fraction(low + more, 200) - Fraction(more, 200) * left**3
        assert level((initial, final, start, end, frequency), epoch) == pytest.approx(float(exact), rel=1e-12)


@pytest.mark.parametrize(("settings", "levels"), BY_HAND, ids=lambda case: str(case) if isinstance(case, tuple) else "")
def test_the_masks_have_exactly_as_many_zeros(
    settings: tuple[float, float, int, int, int], levels: dict[int, float]
) -> None:
    initial, final, start, end, frequency = settings
    model = nn.Linear(50, 20, bias=False)
    scheduler = distiller.load(model, torch.optim.SGD(model.parameters(), lr=0.1))
    pruner = AutomatedGradualPruner(initial, final, "weight")
    scheduler.add_policy(pruner, starting_epoch=start, ending_epoch=end, frequency=frequency)
    zeros = {}
    for epoch in range(end):
        scheduler.on_epoch_begin(epoch)
        scheduler.on_minibatch_begin(epoch, 0, 1)
        zeros[epoch] = int((model.weight == 0).sum())
        scheduler.on_epoch_end(epoch)
    assert {epoch: zeros[epoch] for epoch in levels} == {epoch: int(s * 1000 + 1e-9) for epoch, s in levels.items()}


def test_ties_do_not_wipe_a_layer_out() -> None:
    model = nn.Linear(10, 10, bias=False)
    nn.init.constant_(model.weight, 0.5)
    scheduler = distiller.load(model, torch.optim.SGD(model.parameters(), lr=0.1))
    scheduler.add_policy(AutomatedGradualPruner(0.25, 0.5, "weight"), epochs=[0, 1])
    scheduler.on_epoch_begin(0)
    assert scheduler.sparsity() == 0.25
