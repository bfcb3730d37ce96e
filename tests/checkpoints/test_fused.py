"""Fusing state dicts of torch's pruning: values, names, ties, and every kind of misfit in one error."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import prune

from prunus.checkpoints import fuse
from prunus.checkpoints.adapt import adapt
from prunus.checkpoints.torch_format import declared_order, never_pruned_order
from prunus.errors import CheckpointError
from tests.models import Tied, mlp, normed


def pruned_mlp() -> nn.Sequential:
    model = mlp()
    for layer in (model[0], model[2]):
        prune.random_unstructured(layer, "weight", amount=0.5)
    return model


def half_of(*shape: int) -> Tensor:
    return (torch.arange(math.prod(shape)) % 2).float().reshape(shape)


def test_the_clean_model_computes_what_the_pruned_one_did() -> None:
    pruned, clean, x = pruned_mlp(), mlp(), torch.randn(3, 8)
    fused, masks = fuse(pruned.state_dict())
    clean.load_state_dict(fused)
    assert torch.equal(clean(x), pruned(x))
    assert {name: mask.dtype for name, mask in masks.items()} == {"0.weight": torch.bool, "2.weight": torch.bool}
    assert torch.equal(masks["2.weight"], pruned[2].weight_mask.bool())


def test_the_input_and_what_is_not_pruned_stay_as_they_are() -> None:
    state = pruned_mlp().state_dict()
    before = copy.deepcopy(state)
    fused, _ = fuse(state)
    assert list(state) == list(before) and all(torch.equal(state[name], before[name]) for name in state)
    assert fused["0.bias"] is state["0.bias"]
    clean = normed().state_dict()
    assert dict(fuse(clean)[0]) == clean and fuse(clean)[1] == {}
    assert fuse(clean)[0]._metadata == clean._metadata  # type: ignore[attr-defined]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("mask_dtype", [torch.float32, torch.bool, torch.uint8])
def test_every_type_of_weight_and_mask(dtype: torch.dtype, mask_dtype: torch.dtype) -> None:
    weight, mask = torch.randn(4, 6).to(dtype), half_of(4, 6).to(mask_dtype)
    fused, masks = fuse({"weight_orig": weight, "weight_mask": mask})
    assert fused["weight"].dtype == dtype
    assert torch.equal(fused["weight"], torch.where(mask.bool(), weight, torch.zeros_like(weight)))
    assert torch.equal(masks["weight"], mask.bool())


def test_pruned_places_are_plus_zero_whatever_lay_there() -> None:
    weight = torch.tensor([float("nan"), float("inf"), -1.0, -2.0])
    fused, _ = fuse({"w_orig": weight, "w_mask": torch.tensor([0.0, 0.0, 0.0, 1.0])})
    assert fused["w"].tolist() == [0.0, 0.0, 0.0, -2.0] and not torch.signbit(fused["w"][:3]).any()


def test_empty_and_channels_last_tensors() -> None:
    weight = torch.randn(4, 3, 3, 3).to(memory_format=torch.channels_last)
    fused, _ = fuse(
        {"a_orig": weight, "a_mask": half_of(4, 3, 3, 3), "b_orig": torch.ones(0, 2), "b_mask": torch.ones(0, 2)}
    )
    assert fused["a"].is_contiguous(memory_format=torch.channels_last) and fused["b"].shape == (0, 2)


def test_every_misfit_is_named_at_once() -> None:
    state = {
        "a.weight_orig": torch.ones(2),
        "b.weight_mask": torch.ones(2),
        "c.weight_orig": torch.ones(2),
        "c.weight_mask": torch.ones(3),
        "d.weight_orig": torch.ones(2),
        "d.weight_mask": torch.tensor([0.0, 0.5]),
        "e.weight": torch.ones(2),
        "e.weight_orig": torch.ones(2),
        "e.weight_mask": torch.ones(2),
        "fine.weight_orig": torch.ones(2),
        "fine.weight_mask": torch.ones(2),
    }
    with pytest.raises(CheckpointError) as caught:
        fuse(state)
    said = str(caught.value)
    assert [f"'{name}.weight" in said for name in ("a", "b", "c", "d", "e", "fine")] == [True] * 5 + [False]
    assert "'a.weight_orig' has no 'a.weight_mask'" in said and "'b.weight_mask' has no 'b.weight_orig'" in said
    assert "has shape [3], the tensor [2]" in said and "other than 0 and 1" in said and "is there beside" in said


def test_entries_that_only_look_like_pruning() -> None:
    model = nn.Sequential(nn.utils.spectral_norm(nn.Linear(4, 4)), nn.Linear(4, 2))
    model.register_buffer("causal_mask", torch.ones(3, 3))
    prune.random_unstructured(model[1], "weight", amount=2)
    with pytest.raises(CheckpointError, match=r"ignore=.*'causal_mask' has no 'causal_orig'"):
        fuse(model.state_dict())
    fused, masks = fuse(model.state_dict(), ignore=["*causal_mask"])
    assert {"0.weight_orig", "causal_mask", "1.weight"} <= set(fused) and list(masks) == ["1.weight"]


def test_ties_stay_ties_or_are_refused() -> None:
    model = Tied()
    prune.random_unstructured(model.embed, "weight", amount=0.5)
    with pytest.raises(CheckpointError, match=r"'embed\.weight_orig' is the same tensor as 'head\.weight'"):
        fuse(model.state_dict())
    prune.custom_from_mask(model.head, "weight", model.embed.weight_mask)
    fused, _ = fuse(model.state_dict())
    assert fused["embed.weight"] is fused["head.weight"]
    model.head.weight_mask[0] = 1 - model.head.weight_mask[0]
    with pytest.raises(CheckpointError, match="not masked alike"):
        fuse(model.state_dict())


def nested(model: nn.Module) -> nn.Module:
    return nn.ModuleDict({"a": model})


@pytest.mark.parametrize("wrap", [lambda model: model, nested])
def test_any_state_dict_takes_the_form_of_any_model(wrap: Any) -> None:
    """All four: pruned or clean file into pruned or clean model; the forward pass is that of the file."""
    x = torch.randn(3, 8)
    for file in (wrap(pruned_mlp()), wrap(mlp())):
        for model in (wrap(pruned_mlp()), wrap(mlp())):
            adapted = adapt(file.state_dict(), model)
            model.load_state_dict(adapted.state_dict)
            inner, source = (model["a"], file["a"]) if wrap is nested else (model, file)
            assert torch.equal(inner(x), source(x))
            live = [key for key in model.state_dict() if key.endswith("_orig")]
            pruned_in_file = [key for key in file.state_dict() if key.endswith("_orig")]
            assert len(adapted.masks) == (0 if live else len(pruned_in_file))


def test_a_buffer_of_the_models_own_is_no_mask() -> None:
    model = mlp()
    model.register_buffer("causal_mask", torch.ones(3, 3))
    assert set(adapt(model.state_dict(), model).state_dict) == set(model.state_dict())


def test_a_module_that_is_used_twice_is_adapted_under_both_names() -> None:
    shared = nn.Linear(4, 4)
    model = nn.ModuleDict({"one": shared, "two": shared})
    prune.random_unstructured(shared, "weight", amount=0.5)
    file = nn.ModuleDict({"one": nn.Linear(4, 4)})
    file["two"] = file["one"]
    model.load_state_dict(adapt(file.state_dict(), model).state_dict)
    assert torch.equal(shared.weight_orig, file["one"].weight)


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.LSTM(4, 6, num_layers=2, bidirectional=True, proj_size=3),
        lambda: nn.RNN(4, 6, bias=False),
        lambda: nn.LSTMCell(4, 6),
        lambda: nn.Conv3d(2, 2, 2),
        lambda: nn.Bilinear(2, 3, 4),
        lambda: nn.MultiheadAttention(8, 2, add_bias_kv=True),
        lambda: nn.MultiheadAttention(8, 2, kdim=3, vdim=5, add_bias_kv=True),
        lambda: nn.GroupNorm(2, 4),
        lambda: nn.Embedding(3, 4),
        lambda: nn.PReLU(3),
    ],
)
def test_the_declared_order_is_that_of_torchs_layers(make: Any) -> None:
    names = [name for name, _ in make().named_parameters() if "." not in name]
    assert declared_order(sorted(names)) == names == declared_order(reversed(names))


def test_only_pruned_modules_are_put_in_order() -> None:
    names = ["odd.bias", "odd.weight", "0.bias", "0.weight", "own.shift", "own.gain"]
    assert never_pruned_order(names, {"0.weight"}) == [*names[:2], "0.weight", "0.bias", *names[4:]]
    assert never_pruned_order(names, {"own.gain"}) is None
