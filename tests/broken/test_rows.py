"""Wrong ways of keeping k in each row, and the law that catches each of them."""

from __future__ import annotations

import pytest
import torch

from prunus.keep import exactly_in_rows
from tests.laws import rows as laws


def threshold(scores, keep, *, among=None):
    """Keep what reaches the k-th largest: all ties stay."""
    if keep == 0 or not scores.numel():
        return torch.zeros(scores.shape, dtype=torch.bool)
    return scores >= scores.topk(keep, dim=1).values[:, -1:]


def later_first(scores, keep, *, among=None):
    return exactly_in_rows(scores.flip(1), keep, among=None if among is None else among.flip(1)).flip(1)


def sunk_to_the_lowest(scores, keep, *, among=None):
    """Give the dead -inf, so that a living -inf behind them loses its place."""
    if among is None:
        return exactly_in_rows(scores, keep)
    return exactly_in_rows(scores.masked_fill(~among, -torch.inf), keep) & among


def across_rows(scores, keep, *, among=None):
    """Compare with what lies behind, also when that is the next row."""
    mask = exactly_in_rows(scores, keep, among=among)
    return mask.roll(1, dims=1) if mask.numel() else mask


def forgets_the_dead(scores, keep, *, among=None):
    return exactly_in_rows(scores.nan_to_num(0.0), keep)


def in_place(scores, keep, *, among=None):
    mask = exactly_in_rows(scores, keep, among=among)
    scores.add_(0.0).mul_(mask)
    return mask


def reads_the_dead(scores, keep, *, among=None):
    if among is not None and scores[~among].isnan().any():
        return torch.zeros_like(among)
    return exactly_in_rows(scores, keep, among=among)


PLANTED = [
    (threshold, laws.law_count),
    (forgets_the_dead, laws.law_count),
    (sunk_to_the_lowest, laws.law_count),
    (later_first, laws.law_equals_the_twin),
    (across_rows, laws.law_equals_the_twin),
    (in_place, laws.law_looks_but_does_not_touch),
    (reads_the_dead, laws.law_the_dead_are_not_looked_at),
]


@pytest.mark.parametrize(("wrong", "law"), PLANTED)
def test_the_law_catches_it(wrong, law):
    with pytest.raises(AssertionError):
        law(wrong)
