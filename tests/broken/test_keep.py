"""Wrong ways to keep exactly k; each must break the law that is named beside it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

from prunus import keep
from tests.laws import keep as laws

Flat = Callable[[Tensor, Tensor, int], Tensor]


def over_flat(choose: Flat, flatten: Callable[[Tensor], Tensor] = lambda t: t.reshape(-1)) -> laws.Keeper:
    """Make a keeper of a function (values, candidates, keep) → kept, all flat."""

    def exactly(scores: Sequence[Tensor], count: int, *, among: Sequence[Tensor] | None = None) -> list[Tensor]:
        allowed = among or [torch.ones(score.shape, dtype=torch.bool) for score in scores]
        if not scores:
            return []
        values = torch.cat([flatten(score.detach().double()) for score in scores])
        kept = choose(values, torch.cat([flatten(mask) for mask in allowed]), count)
        parts = kept.split([score.numel() for score in scores])
        return [part.reshape(score.shape) for part, score in zip(parts, scores, strict=True)]

    return exactly


def first_of(order: Tensor, allowed: Tensor, count: int) -> Tensor:
    kept = torch.zeros_like(allowed)
    kept[order[allowed[order]][:count]] = True
    return kept


def threshold(values: Tensor, allowed: Tensor, count: int) -> float:
    return float(values[allowed].sort(descending=True).values[count - 1]) if count else math.inf


def all_ties(values: Tensor, allowed: Tensor, count: int) -> Tensor:
    return (values >= threshold(values, allowed, count)) & allowed if count else torch.zeros_like(allowed)


def no_ties(values: Tensor, allowed: Tensor, count: int) -> Tensor:
    return (values > threshold(values, allowed, count)) & allowed


def last_ties_first(values: Tensor, allowed: Tensor, count: int) -> Tensor:
    return first_of(values.flip(0).argsort(stable=True, descending=True).sub(len(values) - 1).neg(), allowed, count)


def lowest(values: Tensor, allowed: Tensor, count: int) -> Tensor:
    return first_of(values.argsort(stable=True), allowed, count)


def by_magnitude(values: Tensor, allowed: Tensor, count: int) -> Tensor:
    return first_of(values.abs().argsort(stable=True, descending=True), allowed, count)


def in_float32(values: Tensor, allowed: Tensor, count: int) -> Tensor:
    return first_of(values.float().argsort(stable=True, descending=True), allowed, count)


def by_raw_bits(values: Tensor, allowed: Tensor, count: int) -> Tensor:
    return first_of(values.view(torch.int64).argsort(stable=True, descending=True), allowed, count)


def zeros_by_sign(values: Tensor, allowed: Tensor, count: int) -> Tensor:
    bits = values.view(torch.int64)
    return first_of((bits ^ ((bits >> 63) & (2**63 - 1))).argsort(stable=True, descending=True), allowed, count)


def of_all(values: Tensor, allowed: Tensor, count: int) -> Tensor:
    return first_of(values.argsort(stable=True, descending=True), torch.ones_like(allowed), count)


def correct(values: Tensor, allowed: Tensor, count: int) -> Tensor:
    return first_of(values.argsort(stable=True, descending=True), allowed, count)


def in_memory_order(tensor: Tensor) -> Tensor:
    return tensor.permute(sorted(range(tensor.dim()), key=lambda d: -tensor.stride(d))).reshape(-1)


def tensor_by_tensor(scores: Sequence[Tensor], count: int, *, among: Sequence[Tensor]) -> list[Tensor]:
    masks = []
    for score, allowed in zip(scores, among, strict=True):
        masks += keep.exactly([score], min(count, int(allowed.sum())), among=[allowed])
        count -= int(masks[-1].sum())
    return masks


def in_place(scores: Sequence[Tensor], count: int, *, among: Sequence[Tensor]) -> list[Tensor]:
    masks = keep.exactly(scores, count, among=among)
    for allowed, mask in zip(among, masks, strict=True):
        allowed &= mask
    return masks


@pytest.mark.parametrize(
    ("wrong", "law"),
    [
        (over_flat(all_ties), laws.law_count),
        (over_flat(no_ties), laws.law_count),
        (over_flat(of_all), laws.law_count),
        (over_flat(lowest), laws.law_highest),
        (over_flat(by_magnitude), laws.law_highest),
        (over_flat(by_raw_bits), laws.law_highest),
        (over_flat(in_float32), laws.law_highest),
        (tensor_by_tensor, laws.law_highest),
        (over_flat(last_ties_first), laws.law_tie_order),
        (over_flat(zeros_by_sign), laws.law_tie_order),
        (over_flat(correct, in_memory_order), laws.law_twin),
        (over_flat(correct), laws.law_nan_is_refused),
        (in_place, laws.law_inputs_untouched),
    ],
)
def test_a_wrong_keeper_breaks_its_law(wrong, law):
    with pytest.raises(AssertionError):
        law(wrong)


@pytest.mark.parametrize("law", [laws.law_count, laws.law_highest, laws.law_tie_order, laws.law_twin])
def test_the_frame_of_the_wrong_keepers_is_right(law):
    """With the right order inside, the same frame passes: the laws catch the planted fault and not the frame."""
    law(over_flat(correct))


@pytest.mark.parametrize(
    "wrong", [lambda s, n: math.floor(s * n), lambda s, n: round(s * n), lambda s, n: math.ceil(s * n), lambda s, n: 0]
)
def test_a_wrong_count_breaks_its_law(wrong):
    with pytest.raises(AssertionError):
        laws.law_largest_count(wrong)
