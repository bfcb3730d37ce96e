"""Sparse initialisation keeps exactly what was asked for, in whole groups, at random."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import Parameter

from prunus.errors import NoEffect, SettingError, StructureError
from prunus.keep import pruned_count
from prunus.sparse_init import TYPES, SparseInit, initialise_, sparsify_
from prunus.structures import Channel, Element, Filter, Kernel, Row


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


PIECES = [
    ({"pruning_type": "unstructured"}, Element(), 24 * 12 * 9),
    ({"pruning_type": "filter"}, Filter(), 24),
    ({"pruning_type": "channel"}, Channel(), 12),
    ({"pruning_type": "kernel"}, Kernel(), 24 * 12),
    ({"pruning_type": "structured"}, Filter(), 24),
    ({"pruning_type": "structured", "structured_method": "channel"}, Filter(), 24),
    ({"pruning_type": "structured", "structured_method": "filter"}, Channel(), 12),
]


@pytest.mark.parametrize(("config", "structure", "pieces"), PIECES, ids=str)
@pytest.mark.parametrize("rate", [0.25, 0.9, 1.0])
def test_a_pruning_config_zeroes_exactly_its_share_of_its_pieces(config, structure, pieces, rate) -> None:
    conv, bias = Parameter(torch.ones(24, 12, 3, 3)), Parameter(torch.ones(24))
    kept = initialise_([conv, bias], {**config, "sparsity_rate": rate})
    alive = structure.split(conv.detach()).mean(dim=1)
    assert kept[0] == pieces - pruned_count(rate, pieces) == int(alive.sum()) and set(alive.tolist()) <= {0.0, 1.0}
    spared = config["pruning_type"] != "unstructured"
    assert kept[1] == int(bias.sum()) == (24 if spared else 24 - pruned_count(rate, 24))


def test_rows_and_columns_take_matrices_only() -> None:
    for kind, groups in (("row", 8), ("column", 4)):
        weight = torch.ones(8, 4)
        assert initialise_([weight], {"pruning_type": kind, "sparsity_rate": 0.5}) == [groups // 2]
        first = torch.ones(2, 2)
        with pytest.raises(StructureError, match=r"\(2, 2, 3, 3\)"):
            initialise_([first, torch.ones(2, 2, 3, 3)], {"pruning_type": kind, "sparsity_rate": 0.5})
        assert first.all()


@pytest.mark.parametrize("config", [None, {}, {"sparsity_rate": 0.0, "rescale": True}, SparseInit()])
def test_nothing_asked_changes_nothing_and_draws_nothing(config) -> None:
    dice = torch.Generator().manual_seed(0)
    before, weight = dice.get_state(), torch.randn(5, 5)
    kept = weight.clone()
    assert initialise_([weight], config, dice) == [25]
    assert torch.equal(weight, kept) and torch.equal(dice.get_state(), before)


def test_where_there_is_nothing_to_do_nothing_is_said() -> None:
    assert initialise_([torch.ones(4)], {"pruning_type": "row"}) == [4]
    assert initialise_([], {"pruning_type": "row", "sparsity_rate": 0.5}) == []


def test_a_config_and_sparsify_are_one_draw() -> None:
    one, other = torch.ones(20, 10), torch.ones(20, 10)
    initialise_([one], {"sparsity_rate": 0.9, "rescale": True}, torch.Generator().manual_seed(3))
    sparsify_([other], 0.1, generator=torch.Generator().manual_seed(3), rescale=True)
    assert torch.equal(one, other) and one.square().mean() == pytest.approx(1.0)


def test_all_faults_of_a_config_come_in_one_error() -> None:
    with pytest.raises(SettingError) as caught:
        SparseInit.of({"pruning_type": "unstructred", "sparsity_rate": 99, "structured_method": "row", "rescale": 2})
    message = str(caught.value)
    assert "99, expected a fraction between 0 and 1 (for 99 % write 0.99)" in message
    assert "Did you mean 'unstructured'?" in message and "Known: channel, filter." in message
    assert "rescale is 2, expected True or False" in message
    with pytest.raises(SettingError, match=r"sparsity is no key of it\. Did you mean 'sparsity_rate'\?"):
        SparseInit.of({"sparsity": 0.9})
    with pytest.raises(SettingError, match=r"pruning_config is 0\.9, expected a mapping"):
        initialise_([torch.ones(3)], 0.9)


def test_what_cannot_act_is_said() -> None:
    with pytest.warns(NoEffect, match="structured_method='channel' does nothing beside 'unstructured'"):
        SparseInit("unstructured", 0.5, "channel")
    with pytest.warns(NoEffect, match="finds only vectors and scalars"):
        assert initialise_([torch.ones(4)], {"pruning_type": "row", "sparsity_rate": 0.5}) == [4]
    assert sorted(TYPES) == list(TYPES)
