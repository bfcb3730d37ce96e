"""Masks enforced by the kernel, all in one call, are those that torch's operations enforce, bit for bit."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import nn

from prunus import _native
from prunus.masks import MaskStore
from prunus.select import targets

pytestmark = pytest.mark.skipif(not _native.available(), reason=f"no native kernels: {_native.why_not()}")


def layouts(dtype: torch.dtype = torch.float32) -> dict[str, torch.Tensor]:
    full = torch.randn(6, 5, 4, 4).to(dtype)
    return {
        "plain": full,
        "channels_last": full.to(memory_format=torch.channels_last),
        "transposed": full.clone().transpose(0, 1),
        "gaps": full.clone()[:, ::2],
        "large": torch.randn(70_001).to(dtype),
        "one": torch.randn(()).to(dtype),
        "none": torch.randn(0, 3).to(dtype),
    }


class Holder(nn.Module):
    """Parameters of every layout."""

    def __init__(self, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        for name, value in layouts(dtype).items():
            self.register_parameter(name, nn.Parameter(value))

    def masks(self) -> dict[str, torch.Tensor]:
        return {name: torch.rand(p.shape) < 0.4 for name, p in self.named_parameters()}


def store_for(model: nn.Module) -> MaskStore:
    from prunus.select import Target

    return MaskStore([Target(name, model, name) for name, _ in model.named_parameters()])


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_all_layouts_and_widths(dtype, threads, monkeypatch) -> None:
    monkeypatch.setattr("prunus._native.clearing.ENOUGH", 1)
    torch.set_num_threads(threads)
    try:
        model = Holder(dtype)
        before, masks = copy.deepcopy(dict(model.named_parameters())), model.masks()
        store = store_for(model)
        store.update(masks)
        store.apply_()
    finally:
        torch.set_num_threads(1)
    assert [target.name for target in store._swept] == [name for name in layouts() if name != "gaps"]
    for name, p in model.named_parameters():
        assert torch.equal(p, torch.where(masks[name], before[name], 0.0)), name
        assert not torch.signbit(p[~masks[name]]).any()


def test_the_table_follows_masks_and_model() -> None:
    model = nn.Linear(6, 4)
    store = MaskStore(targets(model))
    store.update({"weight": torch.ones(4, 6, dtype=torch.bool)})
    store.apply_()
    table = store._table
    store.apply_()
    assert store._table is table and model.weight.all()
    store.tighten({"weight": ~torch.eye(4, 6, dtype=torch.bool)})
    store.apply_()
    assert store._table is not table and model.weight.count_nonzero() == 20
    for change in (nn.Module.double, nn.Module.bfloat16, lambda m: m.weight.data.set_(torch.ones(6, 4).bfloat16().t())):
        change(model)
        nn.init.ones_(model.weight)
        store.apply_()
        assert model.weight.count_nonzero() == 20 and not model.weight.diagonal().any()
    model.weight = nn.Parameter(torch.ones(4, 6))
    store.apply_()
    assert model.weight.count_nonzero() == 20


@pytest.mark.parametrize("twin", [copy.deepcopy, lambda pair: pickle.loads(pickle.dumps(pair))])
def test_copies_clear_their_own_weights(twin) -> None:
    model = nn.Linear(6, 4)
    store = MaskStore(targets(model))
    store.update({"weight": torch.eye(4, 6, dtype=torch.bool)})
    store.apply_()
    other, theirs = twin((model, store))
    nn.init.ones_(other.weight)
    nn.init.ones_(model.weight)
    theirs.apply_()
    assert other.weight.count_nonzero() == 4 and model.weight.all()


def test_autograd_hears_of_the_change() -> None:
    model = nn.Linear(6, 4)
    store = MaskStore(targets(model))
    store.update({"weight": torch.eye(4, 6, dtype=torch.bool)})
    loss = (model.weight**2).sum()
    store.apply_()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_without_kernels_the_store_does_the_same(monkeypatch) -> None:
    ours, theirs = Holder(), Holder()
    theirs.load_state_dict(ours.state_dict())
    masks = ours.masks()
    results = []
    for model, able in ((ours, True), (theirs, False)):
        monkeypatch.setattr(_native, "available", lambda able=able: able)
        store = store_for(model)
        store.update(masks)
        store.apply_()
        results.append(store)
    assert results[0]._table is not None and results[1]._table is None
    for name, p in ours.named_parameters():
        assert torch.equal(p, theirs.get_parameter(name))
        assert torch.equal(results[0][name], results[1][name])
