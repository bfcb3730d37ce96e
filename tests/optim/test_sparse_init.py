"""Sparse initialisation keeps exactly what was asked for, in whole groups, at random."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import Parameter

from prunus.errors import SettingError, StructureError
from prunus.keep import pruned_count
from prunus.optim import sparsify_
from prunus.structures import Element, Filter, Kernel, Row


@given(density=st.floats(0, 1), rows=st.integers(0, 9), cols=st.integers(1, 9), seed=st.integers(0, 99))
def test_counts_are_exact(density, rows, cols, seed) -> None:
    weight = torch.ones(rows, cols)
    kept = sparsify_([weight], density, Element(), torch.Generator().manual_seed(seed))
    assert kept == [rows * cols - pruned_count(1 - density, rows * cols)] == [int(weight.sum())]


@pytest.mark.parametrize(("structure", "groups"), [(Filter(), 20), (Kernel(), 200), (Element(), 1800)])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_groups_live_or_die_whole(structure, groups, layout) -> None:
    weight = Parameter(torch.ones(20, 10, 3, 3).to(memory_format=layout))
    assert sparsify_([weight], 0.1, structure) == [groups // 10]
    assert set(structure.split(weight.detach()).mean(dim=1).tolist()) == {0.0, 1.0}
    assert weight.is_contiguous(memory_format=layout)


def test_every_tensor_gets_its_own_count_and_ends_are_ends() -> None:
    weights = [torch.randn(10, 10), torch.randn(7), torch.randn(0, 3)]
    before = [w.clone() for w in weights]
    assert sparsify_(weights, 1.0) == [100, 7, 0] and all(
        torch.equal(a, b) for a, b in zip(weights, before, strict=True)
    )
    assert sparsify_(weights, 0.29) == [29, 3, 0]
    assert sparsify_(weights, 0.0, rescale=True) == [0, 0, 0] and not any(w.any() for w in weights)


def test_zeros_are_plain_zeros_and_survivors_keep_their_values() -> None:
    weight = torch.full((50,), -2.0)
    weight[0] = float("inf")
    sparsify_([weight], 0.5)
    assert set(weight.tolist()) <= {-2.0, 0.0, float("inf")} and not torch.signbit(weight[weight == 0]).any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_rescaling_keeps_the_variance(dtype) -> None:
    weight = torch.ones(400, dtype=dtype)
    sparsify_([weight], 0.25, rescale=True)
    assert weight.square().mean() == 1.0 and sorted(set(weight.tolist())) == [0.0, 2.0]


def test_the_generator_decides() -> None:
    def draw(seed: int) -> torch.Tensor:
        weight = torch.ones(100)
        sparsify_([weight], 0.3, generator=torch.Generator().manual_seed(seed))
        return weight

    assert torch.equal(draw(1), draw(1)) and not torch.equal(draw(1), draw(2))


def test_a_misfit_is_refused_before_anything_changes() -> None:
    weights = [torch.ones(4, 4), torch.ones(4)]
    with pytest.raises(StructureError, match=r"Row\(\) cannot split a tensor of shape \(4,\)"):
        sparsify_(weights, 0.5, Row())
    assert weights[0].all()
    with pytest.raises(SettingError, match=r"density is 50.*write 0.5"):
        sparsify_(weights, 50)
