"""Loading checkpoints of torch's pruning into clean and pruned models, with their optimizer, and training on."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils import prune

from prunus.actions import Prune
from prunus.checkpoints import load_pruned, read, write
from prunus.checkpoints.adapt import adapt
from prunus.checkpoints.mask_intake import take_masks
from prunus.errors import CheckpointError, SparsityDecreaseError
from prunus.masks import MaskStore
from prunus.scheduler import CompressionScheduler
from prunus.schedules import Linear
from prunus.select import targets
from tests.models import Tied, mlp

X = torch.randn(16, 8, generator=torch.Generator().manual_seed(3))


class Note:
    """An object such as programs put into their checkpoints."""


def pruned_mlp(amount: float = 0.5) -> nn.Sequential:
    model = mlp()
    for layer in (model[0], model[2]):
        prune.l1_unstructured(layer, "weight", amount=amount)
    return model


def step(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad()
    model(X).square().sum().backward()
    optimizer.step()


def adamw(model: nn.Module) -> torch.optim.AdamW:
    return torch.optim.AdamW(model.parameters(), lr=0.05, weight_decay=0.2)


@pytest.fixture(params=["state_dict", "model_state_dict", "model"])
def layout(request: pytest.FixtureRequest) -> Any:
    keys = {"state_dict": "optimizer_states", "model_state_dict": "optimizer_state_dict", "model": "optimizer"}

    def made(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
        state: Any = copy.deepcopy(optimizer.state_dict())
        several = request.param == "state_dict"
        return {request.param: model.state_dict(), keys[request.param]: [state] if several else state, "epoch": 3}

    return made


@pytest.mark.parametrize("late", [False, True], ids=["built before pruning", "built after pruning"])
@pytest.mark.parametrize("target", [mlp, pruned_mlp])
def test_training_goes_on_as_that_of_a_twin_that_was_never_reordered(
    late: bool, target: Any, layout: Any, tmp_path: Path
) -> None:
    """Three more AdamW steps equal those of the model that was saved, which went on in memory, bit for bit."""
    twin = mlp()
    twin_optimizer = None if late else adamw(twin)
    for layer in (twin[0], twin[2]):
        prune.l1_unstructured(layer, "weight", amount=0.5)
    twin_optimizer = twin_optimizer or adamw(twin)
    step(twin, twin_optimizer)
    step(twin, twin_optimizer)
    torch.save(layout(twin, twin_optimizer), tmp_path / "a.ckpt")
    model = target()
    optimizer = adamw(model)
    masks = load_pruned(tmp_path / "a.ckpt", model, optimizer=optimizer)
    masks.attach(optimizer)
    assert torch.equal(model(X), twin(X)) and len(masks) == (2 if target is mlp else 0)
    for _ in range(3):
        step(model, optimizer)
        step(twin, twin_optimizer)
        assert torch.equal(model(X), twin(X))


def test_a_plain_state_dict_and_a_clean_file_load_too(tmp_path: Path) -> None:
    for source in (pruned_mlp(), mlp()):
        torch.save(source.state_dict(), tmp_path / "a.pt")
        for model in (mlp(), pruned_mlp()):
            load_pruned(tmp_path / "a.pt", model)
            assert torch.equal(model(X), source(X))


def test_a_model_that_is_pruned_in_part_loads_both() -> None:
    for source, beside in ((mlp(), []), (pruned_mlp(), ["2.weight"])):
        model = mlp()
        prune.l1_unstructured(model[0], "weight", amount=0.5)
        masks = load_pruned(source.state_dict(), model)
        assert torch.equal(model(X), source(X)) and list(masks) == beside


def test_the_versions_of_the_layers_stay_with_the_state_dict() -> None:
    state = pruned_mlp().state_dict()
    assert vars(adapt(state, mlp()).state_dict) == vars(state) and "_metadata" in vars(state)


def test_what_torch_has_masked_shows_at_once_in_a_pruned_model() -> None:
    source, model = pruned_mlp(), pruned_mlp()
    load_pruned(source.state_dict(), model)
    assert torch.equal(model[0].weight, source[0].weight)


def test_the_schedule_goes_on_from_the_masks_of_the_file() -> None:
    source, model = pruned_mlp(0.4), mlp()
    scheduler = CompressionScheduler(model, [Prune(Linear(0.8))], epochs=5)
    load_pruned(source.state_dict(), model, store=scheduler.masks)
    found = []
    for _ in scheduler.epochs(5):
        found.append(scheduler.sparsity())
        assert not model[0].weight[source[0].weight_mask == 0].any()
    assert found == sorted(found) and found[0] == pytest.approx(0.4, abs=0.01) and found[-1] == pytest.approx(0.8, 1e-2)


def test_objects_are_refused_unless_trusted(tmp_path: Path) -> None:
    path = tmp_path / "a.ckpt"
    torch.save({"state_dict": pruned_mlp().state_dict(), "hyper_parameters": {"note": Note()}}, path)
    with pytest.raises(CheckpointError, match=r"unsafe to load.*Note.*trust=True"):
        load_pruned(path, mlp())
    assert len(load_pruned(path, mlp(), trust=True)) == 2
    assert isinstance(read(path, trust=True)["hyper_parameters"]["note"], Note)


def test_trust_does_not_make_damage_readable(tmp_path: Path) -> None:
    path = tmp_path / "a.ckpt"
    for content, said in ((b"no checkpoint at all", "is no checkpoint"), (b"PK\x03\x04 cut", "truncated")):
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match=said):
            read(path, trust=True)
    torch.save({"note": Note()}, path)
    broken = path.read_bytes().replace(b"Note", b"Nope")
    path.write_bytes(broken)
    with pytest.raises(CheckpointError):
        read(path, trust=True)


def test_write_takes_objects_only_when_told_to(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="is a Note"):
        write(tmp_path / "a.ckpt", {"note": Note()})
    write(tmp_path / "a.ckpt", {"note": Note()}, trust=True)
    assert isinstance(read(tmp_path / "a.ckpt", trust=True)["note"], Note)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda state: state.pop("2.bias"), r"'2\.bias' is missing"),
        (lambda state: state.update(extra=torch.ones(1)), "'extra' of the file is not in the model"),
        (lambda state: state.pop("0.weight_mask"), r"'0\.weight_orig' has no '0\.weight_mask'"),
        (
            lambda state: state.update({"2.weight_orig": torch.ones(4, 9), "2.weight_mask": torch.ones(4, 9)}),
            r"'2\.weight' has shape \(4, 9\) in the file",
        ),
    ],
)
def test_what_does_not_fit_is_named_and_nothing_changes(change: Any, said: str) -> None:
    state = pruned_mlp().state_dict()
    change(state)
    model = mlp()
    optimizer, before = adamw(model), copy.deepcopy(model.state_dict())
    with pytest.raises(CheckpointError, match=said):
        load_pruned({"model": state, "optimizer": optimizer.state_dict()}, model, optimizer=optimizer)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_refusal_half_way_puts_everything_back(monkeypatch: pytest.MonkeyPatch) -> None:
    source, model, store = pruned_mlp(), mlp(), MaskStore([])
    optimizer, before = adamw(model), copy.deepcopy(model.state_dict())
    real, calls = torch.optim.AdamW.load_state_dict, []

    def failing(self: Any, state: Any) -> None:
        calls.append(state)
        if len(calls) == 1:
            raise ValueError("not mine")
        real(self, state)

    monkeypatch.setattr(torch.optim.AdamW, "load_state_dict", failing)
    state = {"model": source.state_dict(), "optimizer": adamw(source).state_dict()}
    with pytest.raises(CheckpointError, match="nothing was changed: not mine"):
        load_pruned(state, model, optimizer=optimizer, store=store)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items()) and len(store) == 0


def test_optimizers_that_are_not_there() -> None:
    model = mlp()
    with pytest.raises(CheckpointError, match="holds 0 optimizers"):
        load_pruned(pruned_mlp().state_dict(), model, optimizer=adamw(model))
    with pytest.raises(CheckpointError, match="holds no weights: it has 'epoch'"):
        load_pruned({"epoch": 3}, model)
    with pytest.raises(CheckpointError, match=r"^the checkpoint is of another model"):
        load_pruned(nn.Linear(2, 1).state_dict(), model)


def test_a_store_that_has_pruned_more_is_not_loosened() -> None:
    model = mlp()
    store = MaskStore(targets(model))
    store.update({"0.weight": torch.zeros(16, 8, dtype=torch.bool)})
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(SparsityDecreaseError):
        load_pruned(pruned_mlp().state_dict(), model, store=store)
    assert torch.equal(model[0].weight, before["0.weight"]) and list(store) == ["0.weight"]


def test_tied_weights_load_under_one_mask(tmp_path: Path) -> None:
    source, model, tokens = Tied(), Tied(), torch.arange(12)
    mask = torch.rand(12, 6) > 0.5
    for module in (source.embed, source.head):
        prune.custom_from_mask(module, "weight", mask)
    torch.save(source.state_dict(), tmp_path / "a.pt")
    masks = load_pruned(tmp_path / "a.pt", model)
    assert torch.equal(model(tokens), source(tokens)) and list(masks) == ["embed.weight"]
    assert model.head.weight is model.embed.weight


def test_masks_that_belong_to_nothing_are_named_together() -> None:
    store, mask = MaskStore([]), torch.ones(16, 8, dtype=torch.bool)
    with pytest.raises(CheckpointError, match=r"(?s)'0\.weigth'.*Did you mean '0\.weight'.*'2\.weight' is \[16, 8\]"):
        take_masks(store, mlp(), {"0.weigth": mask, "2.weight": mask})
    twice = torch.ones(12, 6, dtype=torch.bool)
    with pytest.raises(CheckpointError, match="is tied to 'embed.weight', which has another mask"):
        take_masks(store, Tied(), {"embed.weight": twice, "head.weight": ~twice})
