"""The kernels of selection give what their obvious twins give, also in the last few entries."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from prunus import _native
from prunus._native import ranking
from prunus._rows import exactly_along
from prunus.criteria import Magnitude
from prunus.errors import ScoreError
from prunus.structures import STRUCTURES, Channel, Column, Filter, Kernel, Layer, Row

pytestmark = pytest.mark.skipif(not _native.available(), reason=f"no native kernels: {_native.why_not()}")
shapes = st.tuples(st.integers(1, 5), st.integers(1, 6), st.integers(1, 12))


@given(shapes, st.booleans())
def test_sums_of_groups(shape: tuple[int, int, int], square: bool) -> None:
    values = torch.randn(shape)
    sums = ranking.group_sums(values, shape, square=square)
    wide = values.double()
    torch.testing.assert_close(sums.double(), (wide * wide if square else wide.abs()).sum((0, 2)), rtol=1e-6, atol=0)


@given(shapes, st.sampled_from([torch.int8, torch.float16, torch.float32, torch.float64]))
def test_masks_of_groups(shape: tuple[int, int, int], dtype: torch.dtype) -> None:
    flags = torch.rand(shape[1]) < 0.5
    full = flags.view(1, -1, 1).expand(shape)
    assert torch.equal(ranking.repeat(flags, shape, shape), full)
    mask = torch.rand(shape) < 0.2
    assert torch.equal(ranking.any_in_groups(mask, shape), mask.any(2).any(0))
    assert torch.equal(ranking.any_in_groups(mask.to(torch.int8).neg_(), shape), mask.any(2).any(0))
    values = torch.ones(shape, dtype=dtype)
    ranking.zero_groups_(values, flags, shape)
    assert torch.equal(values, full.to(dtype))


def in_sets(weight: torch.Tensor, keep: int, size: int, alive: torch.Tensor) -> torch.Tensor:
    """Sort each set along dimension 1 by falling |w|, the living first."""
    mask = torch.zeros_like(alive)
    for place in torch.cartesian_prod(*[torch.arange(n) for n in (weight.shape[0], *weight.shape[2:])]).tolist():
        out, *rest = place if isinstance(place, list) else [place]
        for start in range(0, weight.shape[1], size):
            spots = [(out, i, *rest) for i in range(start, start + size) if alive[(out, i, *rest)]]
            for spot in sorted(spots, key=lambda spot: (-weight[spot].abs().item(), spot[1]))[:keep]:
                mask[spot] = True
    return mask


@given(st.sampled_from([2, 4, 8]), st.integers(1, 3), st.integers(1, 3), st.integers(1, 16), st.data())
def test_the_largest_of_each_set(size: int, out: int, sets: int, kernel: int, data: st.DataObject) -> None:
    shape = (out, sets * size, kernel)
    values = data.draw(st.sampled_from([[0.0, -0.0, 1.0, -1.0, math.inf], None]))
    weight = torch.randn(shape) if values is None else torch.tensor(values)[torch.randint(5, shape)]
    alive = torch.rand(shape) < data.draw(st.sampled_from([0.0, 0.5, 1.1]))
    keep = data.draw(st.integers(0, size))
    for flags in (alive, alive.to(torch.int8).neg_()):
        mask = torch.empty(shape, dtype=torch.bool)
        assert exactly_along(mask, weight, keep, size, flags)
        assert torch.equal(mask, in_sets(weight, keep, size, alive))


def test_a_living_nan_is_named_and_a_dead_one_is_not_looked_at() -> None:
    weight = torch.ones(3, 4, 9)
    weight[2, 3, 8] = torch.nan
    alive = torch.ones_like(weight, dtype=torch.bool)
    mask = torch.empty_like(alive)
    with pytest.raises(ScoreError, match="is NaN at flat index 107"):
        exactly_along(mask, weight, 2, 4, alive)
    alive[2, 3, 8] = False
    assert exactly_along(mask, weight, 2, 4, alive) and not mask[2, 3, 8]


def test_where_no_kernel_fits_nothing_is_done() -> None:
    for weight, size in ((torch.ones(2, 3), 3), (torch.ones(2, 4, 17), 4), (torch.ones(2, 4).double(), 4)):
        assert not exactly_along(torch.empty(weight.shape, dtype=torch.bool), weight, 1, size, None)


@pytest.mark.parametrize("structure", [Row(), Column(), Kernel(), Filter(), Channel(), Layer()], ids=str)
@pytest.mark.parametrize("p", [1.0, 2.0])
@pytest.mark.parametrize("average", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_scores_are_those_of_torch(structure, p, average, dtype, monkeypatch) -> None:
    shape = (4, 6) if structure.misfit((4, 6, 3, 3)) else (4, 6, 3, 3)
    weight = torch.randn(shape).to(dtype)
    criterion = Magnitude(p, average)
    found = criterion.score(weight, structure)
    assert torch.equal(
        found,
        criterion.score(
            weight.to(memory_format=torch.preserve_format).T.contiguous().T
            if weight.ndim == 2
            else weight.contiguous(memory_format=torch.channels_last),
            structure,
        ),
    )
    monkeypatch.setattr("prunus._native.ranking.available", lambda: False)
    torch.testing.assert_close(found, criterion.score(weight, structure), rtol=1e-5, atol=0)


def test_every_structure_says_whether_groups_are_alive() -> None:
    for kind in STRUCTURES.values():
        structure = kind()
        shape = next(s for s in [(8, 8), (8, 8, 3, 3)] if not structure.misfit(s))
        mask = torch.rand(shape) < 0.1
        assert torch.equal(structure.any_in_groups(mask), structure.split(mask).any(1))
