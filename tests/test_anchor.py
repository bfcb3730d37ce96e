"""The anchor to the published code: its rows train, and its digits are split as the figures were taken."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
import torch

from benchmarks import anchor


@pytest.mark.parametrize("row", [anchor.ROWS[0], anchor.ROWS[-1]], ids=lambda row: row[0])
def test_a_row_trains(row) -> None:
    _, build, lamda, target, *_ = row
    with pytest.warns(match="steering ended") if target else nullcontext():
        accuracy, density = anchor.run(build, lamda, target, seed=0, epochs=2)
    assert 10.0 < accuracy < 90.0 and 1.0 < density < 60.0


def test_a_fifth_of_the_digits_is_held_out() -> None:
    train, seen, test, unseen = anchor.digits(0)
    assert (len(train), len(test)) == (1437, 360) and (len(seen), len(unseen)) == (1437, 360)
    assert train.dtype == test.dtype == torch.float32


def test_pixels_are_standardised_by_what_is_trained_on() -> None:
    train, _, test, _ = anchor.digits(0)
    assert float(train.mean()) == pytest.approx(0.0, abs=1e-6) and float(train.std()) == pytest.approx(1.0, abs=1e-6)
    assert float(train.min()) == float(test.min()) and float(train.max()) == float(test.max())
    assert 0.0 < abs(float(test.mean())) < 0.1


def test_each_weight_lives_by_a_draw_of_its_own() -> None:
    counts = [sum(int(layer.weight.count_nonzero()) for layer in anchor.network(seed)[::2]) for seed in range(8)]
    assert len(set(counts)) > 1 and abs(sum(counts) / 8 - 296) < 30
