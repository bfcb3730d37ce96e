"""Live models pruned by torch, read and written: outputs, objects, order and state dicts stay what they were."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import prune

from prunus.errors import CheckpointError, SelectionError, SparsityDecreaseError
from prunus.integrations import torch_prune
from prunus.masks import MaskStore
from prunus.select import Select, targets
from tests.models import Tied, channels_last, half, mlp

pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections")


class Attention(nn.Module):
    def __init__(self, **settings: Any) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, add_bias_kv=True, **settings)

    def forward(self, x: Tensor) -> Tensor:
        return self.attention(x, x[..., : self.attention.kdim], x[..., : self.attention.vdim])[0]


class First(nn.Module):
    """A recurrent layer whose state is left out."""

    def __init__(self, layer: nn.RNNBase) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)[0]


class Deep(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleDict({"a": nn.Sequential(nn.Linear(8, 8), mlp())})

    def forward(self, x: Tensor) -> Tensor:
        return self.blocks["a"](x)


def conv() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(4, 8, 3), nn.BatchNorm2d(8), nn.ConvTranspose2d(8, 6, 2, bias=False))


X, IMAGES, STEPS = torch.randn(5, 8), torch.randn(2, 4, 6, 6), torch.randn(7, 3, 8)
LSTM_NAMES = ["layer.weight_hh_l1_reverse", "layer.weight_ih_l0", "layer.bias_hh_l0", "layer.weight_hr_l0"]
CASES: dict[str, tuple[Callable[[], nn.Module], Tensor, list[str]]] = {
    "linear": (mlp, X, ["2.weight", "0.weight"]),
    "weight and bias": (mlp, X, ["0.bias", "0.weight"]),
    "deep": (Deep, X, ["blocks.a.1.0.weight", "blocks.a.0.weight"]),
    "convolutions": (conv, IMAGES, ["0.weight", "2.weight", "1.weight"]),
    "channels last": (channels_last, IMAGES, ["0.weight", "2.weight"]),
    "lstm": (
        lambda: First(nn.LSTM(8, 6, num_layers=2, bidirectional=True, proj_size=4)),
        STEPS,
        LSTM_NAMES,
    ),
    "gru": (lambda: First(nn.GRU(8, 6)), STEPS, ["layer.weight_hh_l0"]),
    "attention": (
        Attention,
        STEPS,
        ["attention.in_proj_weight", "attention.out_proj.weight", "attention.bias_k"],
    ),
    "attention of other widths": (
        lambda: Attention(kdim=4, vdim=6),
        STEPS,
        ["attention.v_proj_weight", "attention.in_proj_bias", "attention.q_proj_weight"],
    ),
    "bfloat16": (half, X.bfloat16(), ["0.weight"]),
}


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> tuple[nn.Module, nn.Module, Tensor, list[str]]:
    """A never-pruned model, its pruned copy, an input, and the names that are pruned."""
    make, x, names = CASES[request.param]
    clean = make().eval()
    pruned = copy.deepcopy(clean)
    for seed, name in enumerate(names):
        prune_one(pruned, name, seed)
    return clean, pruned, x, names


def prune_one(model: nn.Module, name: str, seed: int = 0) -> None:
    """Prune half of a parameter by torch, which takes a mask for weights in any memory format."""
    parameter, (path, _, local) = model.get_parameter(name), name.rpartition(".")
    order = torch.randperm(parameter.numel(), generator=torch.Generator().manual_seed(seed))
    mask = (order < parameter.numel() // 2).reshape(parameter.shape)
    prune.custom_from_mask(model.get_submodule(path), local, mask)


def layout(model: nn.Module) -> list[tuple[str, tuple[int, ...]]]:
    return [(name, tuple(p.shape)) for name, p in model.named_parameters()]


def test_a_clean_model_of_the_same_outputs_and_order_comes_out(case: Any) -> None:
    """T6 and T17: the forward pass stays, the state dict is again that of a model that was never pruned."""
    clean, pruned, x, names = case
    expected = pruned(x)
    masks = {name: pruned.get_buffer(f"{name}_mask").bool() for name in names}
    store = torch_prune.read(pruned)
    assert torch.equal(pruned(x), expected)
    assert layout(pruned) == layout(clean)
    assert list(pruned.state_dict()) == list(clean.state_dict())
    assert set(store) == set(names) and all(torch.equal(store[name], masks[name]) for name in names)
    assert all(not pruned.get_parameter(name)[~masks[name]].any() for name in names)
    assert not any(module._forward_pre_hooks for module in pruned.modules())
    clean.load_state_dict(pruned.state_dict())
    assert torch.equal(clean(x), expected)


def test_parameters_stay_the_same_objects(case: Any) -> None:
    """T7: identity and storage go through pruning, reading, writing and reading again, so optimizers go on."""
    clean, _, _, names = case
    before = {name: (id(p), p.data_ptr()) for name, p in clean.named_parameters()}
    for name in names:
        prune_one(clean, name)
    for _ in range(2):
        store = torch_prune.read(clean)
        assert {name: (id(p), p.data_ptr()) for name, p in clean.named_parameters()} == before
        torch_prune.write(clean, store)


def test_what_is_written_is_what_torch_writes(case: Any) -> None:
    """In its format, order and outputs, so that torch's own functions and checkpoints take it from there."""
    _, pruned, x, names = case
    expected, keys = pruned(x), list(pruned.state_dict())
    store = torch_prune.read(pruned)
    assert sorted(torch_prune.write(pruned, store)) == sorted(names)
    assert torch.equal(pruned(x), expected)
    assert sorted(pruned.state_dict()) == sorted(keys)
    path, _, local = names[0].rpartition(".")
    assert prune.is_pruned(pruned)
    prune.remove(pruned.get_submodule(path), local)
    assert torch.equal(pruned(x), expected)


def test_a_read_model_trains_on_with_its_zeros(case: Any) -> None:
    _, pruned, x, _ = case
    optimizer = torch.optim.AdamW(pruned.parameters(), lr=0.1)
    store = torch_prune.read(pruned)
    store.attach(optimizer)
    for _ in range(2):
        optimizer.zero_grad()
        pruned(x).float().square().sum().backward()
        optimizer.step()
    assert all(p.grad is not None for name, p in pruned.named_parameters() if "bias_k" not in name)
    assert all(not pruned.get_parameter(name)[~store[name]].any() for name in store)


def test_training_goes_on_as_if_torch_pruned_it_still() -> None:
    """Two AdamW steps of a live model, one with torch's hooks and one read in between: bit for bit the same."""
    models = [mlp(), mlp()]
    models[1].load_state_dict(models[0].state_dict())
    optimizers = []
    for model in models:
        for name in ("0.weight", "2.weight"):
            prune_one(model, name)
        optimizers.append(torch.optim.AdamW(model.parameters(), lr=0.1))

    def step() -> None:
        for model, optimizer in zip(models, optimizers, strict=True):
            optimizer.zero_grad()
            model(X).square().sum().backward()
            optimizer.step()

    step()
    torch_prune.read(models[1]).attach(optimizers[1])
    step()
    step()
    torch_prune.read(models[0])
    for one, other in zip(models[0].parameters(), models[1].parameters(), strict=True):
        assert torch.equal(one, other)


def test_pickle_and_deepcopy() -> None:
    """T8: torch cannot copy a pruned model that has been trained; a read one copies, and a pickled one reads."""
    model = mlp()
    prune_one(model, "0.weight")
    expected = model(X)
    with pytest.raises(RuntimeError, match="deepcopy"):
        copy.deepcopy(model)
    loaded = pickle.loads(pickle.dumps(model))
    torch_prune.read(model)
    assert torch.equal(copy.deepcopy(model)(X), expected)
    torch_prune.read(loaded)
    assert torch.equal(loaded(X), expected)


def test_a_model_saved_whole_is_read() -> None:
    """T17: also by torch.save of the module itself."""
    model = First(nn.LSTM(8, 6))
    prune_one(model, "layer.weight_ih_l0")
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    loaded = torch.load(file, weights_only=False)
    torch_prune.read(loaded)
    assert torch.equal(loaded(STEPS), model(STEPS))


def test_repeated_and_mixed_pruning_accumulates() -> None:
    """T9: unstructured, then rows, then columns: the mask that is read is the product of all three."""
    layer = nn.Linear(4, 5)
    layer.weight.data = torch.arange(1.0, 21.0).reshape(5, 4)
    prune.l1_unstructured(layer, "weight", amount=3)
    prune.ln_structured(layer, "weight", amount=1, n=2, dim=0)
    prune.ln_structured(layer, "weight", amount=1, n=2, dim=-1)
    expected = torch.ones(5, 4, dtype=torch.bool)
    expected[0, :3] = False
    expected[0] = False
    expected[:, 0] = False
    assert torch.equal(torch_prune.read(layer)["weight"], expected)


def test_a_custom_mask_and_the_old_one() -> None:
    """T15: torch prunes a written model further, and never gives anything back."""
    layer = nn.Linear(2, 3)
    store = MaskStore(targets(layer))
    store.update({"weight": torch.tensor([[True, False], [True, True], [True, True]])})
    torch_prune.write(layer, store)
    prune.custom_from_mask(layer, "weight", torch.tensor([[0, 1], [1, 1], [1, 0]]))
    assert torch_prune.read(layer)["weight"].tolist() == [[False, False], [True, True], [True, False]]


@pytest.mark.parametrize("fails_at", [0, 1, 2])
def test_a_failure_while_writing_leaves_the_model_as_it_was(fails_at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """T16: values, order and state-dict keys, also when the first half was already pruned."""
    model = Deep()
    store = MaskStore(targets(model, Select(biases=True)))
    store.update({name: torch.rand_like(model.get_parameter(name)) > 0.5 for name in list(model.state_dict())[:3]})
    before, keys = copy.deepcopy(model.state_dict()), list(model.state_dict())
    real, calls = prune.custom_from_mask, []

    def failing(*arguments: Any) -> Any:
        calls.append(arguments)
        if len(calls) == fails_at + 1:
            raise RuntimeError("no memory left")
        return real(*arguments)

    monkeypatch.setattr(prune, "custom_from_mask", failing)
    with pytest.raises(RuntimeError, match="no memory left"):
        torch_prune.write(model, store)
    after = model.state_dict()
    assert list(after) == keys and all(torch.equal(after[name], before[name]) for name in keys)
    assert not prune.is_pruned(model)


def test_tied_weights_have_one_mask() -> None:
    tokens = torch.arange(12)
    model = Tied()
    store = MaskStore(targets(model))
    store.update({"embed.weight": torch.rand(12, 6) > 0.5})
    store.apply_()
    expected = model(tokens)
    assert torch_prune.write(model, store) == ["embed.weight"]
    assert {"embed.weight_mask", "head.weight_mask"} <= set(model.state_dict())
    assert torch.equal(model(tokens), expected)
    again = torch_prune.read(model)
    assert torch.equal(again["embed.weight"], store["embed.weight"])
    assert model.head.weight is model.embed.weight and torch.equal(model(tokens), expected)


def test_a_tied_weight_that_is_masked_once_is_refused() -> None:
    model = Tied()
    prune_one(model, "embed.weight")
    keys = list(model.state_dict())
    with pytest.raises(SelectionError, match=r"embed\.weight is tied to weight of a Linear"):
        torch_prune.read(model)
    assert list(model.state_dict()) == keys


class Mixer(nn.Module):
    """Parameters that no layer of torch has, in an order that only the constructor knows."""

    def __init__(self) -> None:
        super().__init__()
        self.shift, self.gain = nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(3, 3))
        self.table = nn.Parameter(torch.ones(2))


def test_modules_of_ones_own_need_a_model_to_compare_with() -> None:
    model = nn.Sequential(mlp(), Mixer())
    prune_one(model, "1.shift")
    with pytest.raises(SelectionError, match=r"like=.*1 \(Mixer\) has gain, table, shift"):
        torch_prune.read(model)
    with pytest.raises(SelectionError, match="is pruned itself"):
        torch_prune.read(model, like=model)
    with pytest.raises(SelectionError, match=r"1 \(Mixer\)"):
        torch_prune.read(model, like=mlp())
    torch_prune.read(model, like=nn.Sequential(mlp(), Mixer()))
    assert [name for name, _ in model[1].named_parameters()] == ["shift", "gain", "table"]


def test_what_the_store_has_pruned_does_not_come_back() -> None:
    model = mlp()
    store = MaskStore(targets(model))
    store.update({"0.weight": torch.zeros(16, 8, dtype=torch.bool)})
    prune_one(model, "0.weight")
    with pytest.raises(SparsityDecreaseError, match=r"64 weights of 0\.weight"):
        torch_prune.read(model, store)
    assert "0.weight_orig" in model.state_dict()


def test_nothing_to_read_and_nothing_that_fits() -> None:
    with pytest.raises(SelectionError, match="has pruned nothing"):
        torch_prune.read(mlp())
    other = MaskStore(targets(Deep()))
    other.update({"blocks.a.0.weight": torch.ones(8, 8, dtype=torch.bool)})
    with pytest.raises(SelectionError, match=r"'blocks\.a\.0\.weight' is no parameter"):
        torch_prune.write(mlp(), other)
    wider = nn.Sequential(nn.Linear(9, 16))
    store = MaskStore(targets(wider))
    store.update({"0.weight": torch.ones(16, 9, dtype=torch.bool)})
    with pytest.raises(SelectionError, match=r"\[16, 9\], the weight \[16, 8\]"):
        torch_prune.write(mlp(), store)


def test_half_pruned_modules_are_named() -> None:
    model = mlp()
    prune_one(model, "0.weight")
    prune_one(model, "2.weight")
    del model[0]._buffers["weight_mask"]
    model[2]._buffers["weight_mask"] = torch.ones(3)
    with pytest.raises(CheckpointError, match=r"(?s)0\.weight lacks weight_mask.*2\.weight_mask has shape \[3\]"):
        torch_prune.read(model)


def test_a_model_whose_hooks_are_gone_is_read() -> None:
    model = mlp()
    prune_one(model, "0.weight")
    model[0]._forward_pre_hooks.clear()
    expected = model(X)
    torch_prune.read(model)
    assert torch.equal(model(X), expected)


def test_spectral_norm_is_left_alone() -> None:
    model = nn.Sequential(nn.utils.spectral_norm(nn.Linear(8, 8)), nn.Linear(8, 2))
    prune_one(model, "1.weight")
    assert list(torch_prune.read(model)) == ["1.weight"]
    assert "0.weight_orig" in model.state_dict()
