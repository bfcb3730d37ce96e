"""Masks live beside the parameters, only tighten, and hold after every optimizer step."""

import copy
import io

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from prunus._bits import pack, unpack
from prunus.errors import CheckpointError, SelectionError, SparsityDecreaseError, StructureError
from prunus.masks import MaskStore
from prunus.select import targets
from prunus.structures import Block, Column, Element, Filter, Row
from tests import models


def store_of(model):
    return MaskStore(targets(model))


def half_mask(weight):
    return torch.arange(weight.numel()).reshape(weight.shape) % 2 == 0


@pytest.mark.parametrize("factory", [models.mlp, models.Tied, models.channels_last, models.half])
def test_masked_weights_are_zero_and_the_others_untouched(factory):
    model = factory()
    store = store_of(model)
    before = {target.name: target.parameter.detach().clone() for target in targets(model)}
    masks = {name: half_mask(weight) for name, weight in before.items()}
    store.update(masks)
    store.apply_()
    for target in targets(model):
        mask = masks[target.name]
        assert torch.equal(target.parameter[mask], before[target.name][mask])
        assert not target.parameter[~mask].any() and not torch.signbit(target.parameter[~mask]).any()


def test_names_and_state_dict_keys_never_change():
    model = models.mlp()
    keys = list(model.state_dict())
    store = store_of(model)
    store.update({"0.weight": half_mask(model[0].weight)})
    store.apply_()
    assert list(model.state_dict()) == keys


@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.AdamW])
def test_momentum_cannot_regrow_pruned_weights(optimizer):
    model = models.mlp()
    kwargs = {"momentum": 0.9} if optimizer is torch.optim.SGD else {}
    stepper = optimizer(model.parameters(), lr=0.1, **kwargs)
    store = store_of(model)
    handle = store.attach(stepper)
    for step in range(6):
        model(torch.randn(4, 8)).square().sum().backward()
        stepper.step()
        if step == 2:
            store.update({"0.weight": half_mask(model[0].weight)})
        if step > 2:
            assert not model[0].weight[~half_mask(model[0].weight)].any()
    handle.remove()
    stepper.step()
    assert model[0].weight[~half_mask(model[0].weight)].any()


def test_masks_only_tighten_unless_regrowth_is_said():
    model = models.mlp()
    store = store_of(model)
    store.update({"0.weight": half_mask(model[0].weight)})
    with pytest.raises(SparsityDecreaseError, match="64 pruned .* new mask 0, of which 64 would"):
        store.update({"0.weight": torch.ones(16, 8, dtype=torch.bool)})
    store.update({"0.weight": torch.ones(16, 8, dtype=torch.bool)}, regrow=True)
    assert store["0.weight"].all()


def test_an_update_is_all_or_nothing():
    model = models.mlp()
    store = store_of(model)
    good = half_mask(model[0].weight)
    with pytest.raises(StructureError, match=r"mask of 2.weight is torch.bool \[3, 3\], expected torch.bool \[4, 16\]"):
        store.update({"0.weight": good, "2.weight": torch.ones(3, 3, dtype=torch.bool)})
    assert len(store) == 0 and store["0.weight"].all()
    with pytest.raises(SelectionError, match="Did you mean '0.weight'"):
        store.update({"0.weigt": good})
    with pytest.raises(StructureError, match="torch.float32"):
        store.update({"0.weight": good.float()})


@pytest.mark.parametrize("dtypes", [(torch.float32, torch.bfloat16), (torch.bfloat16, torch.float64)])
@pytest.mark.parametrize("chunk", [1, 1 << 18])
def test_masks_follow_a_model_that_changes_its_precision(dtypes, chunk, monkeypatch):
    monkeypatch.setattr("prunus.masks.CHUNK", chunk)
    model = models.mlp().to(dtypes[0])
    store = store_of(model)
    store.update({"0.weight": half_mask(model[0].weight)})
    model.to(dtypes[1])
    store.tighten({"0.weight": torch.arange(128).reshape(16, 8) % 4 != 0})
    store.apply_()
    assert model[0].weight.count_nonzero() == 32 and store["0.weight"].sum() == 32


def test_a_nan_weight_is_still_pruned():
    model = models.mlp()
    store = store_of(model)
    store.update({"0.weight": half_mask(model[0].weight)})
    with torch.no_grad():
        model[0].weight.fill_(float("nan"))
    store.apply_()
    assert (model[0].weight == 0).sum() == 64


def test_state_survives_a_safe_file_bit_for_bit():
    model = models.channels_last()
    store = store_of(model)
    store.update({"0.weight": half_mask(model[0].weight)})
    file = io.BytesIO()
    torch.save(store.state_dict(), file)
    file.seek(0)
    fresh = store_of(model)
    fresh.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(fresh["0.weight"], store["0.weight"]) and list(fresh) == ["0.weight"] and "0.weight" in fresh


def test_masks_of_another_model_are_refused_with_every_key():
    other = nn.Sequential(nn.Linear(8, 5), nn.ReLU(), nn.Linear(5, 4), nn.Linear(4, 4))
    store = store_of(other)
    store.update({name: half_mask(other.get_parameter(name)) for name in ("0.weight", "3.weight")})
    mine = store_of(models.mlp())
    with pytest.raises(CheckpointError) as caught:
        mine.load_state_dict(store.state_dict())
    assert "0.weight has shape [16, 8], saved mask [5, 8]" in str(caught.value) and "3.weight" in str(caught.value)
    assert len(mine) == 0


@given(st.lists(st.booleans(), max_size=70))
def test_packing_is_lossless_at_one_bit_a_flag(flags):
    tensor = torch.tensor(flags, dtype=torch.bool)
    packed = pack(tensor)
    assert packed.numel() == (len(flags) + 7) // 8
    assert torch.equal(unpack(packed, [len(flags)]), tensor)


def test_truncated_bits_are_refused():
    with pytest.raises(CheckpointError, match="holds 1 bytes, expected 2"):
        unpack(torch.zeros(1, dtype=torch.uint8), [3, 4])


@pytest.mark.parametrize("factory", [models.mlp, models.channels_last])
def test_tightening_adds_to_what_is_pruned(factory):
    model = factory()
    store = store_of(model)
    weight = model[0].weight
    first, second = half_mask(weight), torch.rand(weight.shape) < 0.5
    store.tighten({"0.weight": first.clone()})
    store.tighten({"0.weight": second.clone()})
    assert torch.equal(store["0.weight"], first & second)
    store.apply_()
    assert torch.equal(weight != 0, first & second)


def test_tightening_is_all_or_nothing():
    model = models.mlp()
    store = store_of(model)
    fits = torch.ones_like(model[0].weight, dtype=torch.bool)
    for name, marks, error in (
        ("2.weight", torch.ones(3, dtype=torch.bool), StructureError),
        ("2.weight", torch.ones_like(model[2].weight), StructureError),
        ("3.weight", fits, SelectionError),
    ):
        with pytest.raises(error):
            store.tighten({"0.weight": fits, name: marks})
        assert len(store) == 0


@pytest.mark.parametrize("structure", [Element(), Row(), Column(), Block(2, 4)], ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_pruning_groups_is_tightening_and_clearing(kernels, structure, dtype):
    model = models.mlp().to(dtype)
    twin, store, other = copy.deepcopy(model), store_of(model), store_of(model)
    expected = store_of(twin)
    for _ in range(3):  # without a mask, then in place
        flags = torch.rand(structure.groups((16, 8))) < 0.7
        store.prune_groups(structure, {"0.weight": flags})
        expected.tighten({"0.weight": structure.expand(flags, (16, 8)).clone()})
        expected.apply_()
        assert torch.equal(store["0.weight"], expected["0.weight"]) and len(other) == 0
        assert torch.equal(model[0].weight, twin[0].weight)
    store.apply_()
    assert torch.equal(model[0].weight, twin[0].weight)


@pytest.mark.parametrize("factory", [models.channels_last, models.convs])
def test_groups_are_those_of_the_weight_in_any_layout(kernels, factory):
    model = factory()
    store = store_of(model)
    for target in targets(model):
        expected = torch.ones_like(target.parameter, dtype=torch.bool)
        for _ in range(2):  # without a mask, then in place
            flags = torch.rand(len(target.canonical(target.parameter))) < 0.7
            store.prune_groups(Filter(), {target.name: flags})
            target.canonical(expected)[~flags] = False
            assert torch.equal(store[target.name], expected) and torch.equal(target.parameter != 0, expected)


def test_flags_of_other_groups_change_nothing():
    model = models.mlp()
    store = store_of(model)
    store.prune_groups(Row(), {"0.weight": torch.ones(16, dtype=torch.bool)})
    for name, flags, error in (
        ("0.weight", torch.zeros(15, dtype=torch.bool), StructureError),
        ("0.weight", torch.zeros(16), StructureError),
        ("3.weight", torch.zeros(16, dtype=torch.bool), SelectionError),
    ):
        with pytest.raises(error):
            store.prune_groups(Row(), {"0.weight": torch.zeros(16, dtype=torch.bool), name: flags})
        assert model[0].weight.all() and store["0.weight"].all()


def test_a_released_target_is_dense_again() -> None:
    model = nn.Linear(3, 1, bias=False)
    store = MaskStore(targets(model))
    store.update({"weight": torch.tensor([[True, False, True]])})
    store.release(["weight", "other"])
    before = model.weight.detach().clone()
    store.apply_()
    assert "weight" not in store
    assert torch.equal(model.weight, before)


def saved(model, mask):
    other = store_of(model)
    other.update({"0.weight": mask})
    return other.state_dict()


MOVES = {
    "group": lambda store, model, mask: store.prune_groups(Row(), {"0.weight": mask[:, 0].clone()}),
    "load": lambda store, model, mask: store.load_state_dict(saved(model, mask)),
    "move": lambda store, model, mask: model.to(torch.float64 if mask[0, 0] else torch.bfloat16),
    "none": lambda store, model, mask: None,
    "release": lambda store, model, mask: store.release(["0.weight"]),
    "tighten": lambda store, model, mask: store.tighten({"0.weight": mask.clone()}),
    "update": lambda store, model, mask: store.update({"0.weight": mask}, regrow=True),
}
EFFECTS = {
    "group": lambda old, mask: old & mask[:, :1],
    "load": lambda old, mask: mask,
    "release": lambda old, mask: torch.ones_like(mask),
    "tighten": lambda old, mask: old & mask,
    "update": lambda old, mask: mask,
}


@given(st.lists(st.tuples(st.sampled_from(sorted(MOVES)), st.integers(0, 99)), min_size=1, max_size=8))
def test_after_any_history_the_masks_of_now_are_applied(kernels, history):
    model = models.mlp()
    store, expected = store_of(model), torch.ones(16, 8, dtype=torch.bool)
    for move, seed in history:
        mask = torch.rand(16, 8, generator=torch.Generator().manual_seed(seed)) < 0.8
        MOVES[move](store, model, mask)
        expected = EFFECTS.get(move, lambda old, mask: old)(expected, mask)
        with torch.no_grad():
            model[0].weight.fill_(1.0)
        store.apply_()
        assert torch.equal(model[0].weight != 0, expected) and torch.equal(store["0.weight"], expected)


def test_pruning_between_forward_and_backward_is_noticed():
    model = models.mlp()
    store = store_of(model)
    for _ in range(2):  # without a mask, then in place
        loss = model[0].weight.square().sum()
        store.prune_groups(Row(), {"0.weight": torch.arange(16) > 3})
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            loss.backward()


def test_two_names_may_share_the_memory_of_one_mask():
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    store, mask = store_of(model), torch.eye(4, dtype=torch.bool)
    store.tighten({"0.weight": mask, "1.weight": mask})
    store.apply_()
    for layer in model:
        assert torch.equal(layer.weight != 0, torch.eye(4, dtype=torch.bool))
