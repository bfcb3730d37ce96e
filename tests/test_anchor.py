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
    assert train.dtype == test.dtype == torch.float32 and float(train.min()) == -1.0
