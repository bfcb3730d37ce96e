"""An optimizer's state stays with its parameter: by names, by shapes, or not at all."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import prune

from prunus.checkpoints import reorder
from prunus.checkpoints.optimizer_layout import require_same_groups
from prunus.checkpoints.optimizer_order import clean_name, groups_of
from prunus.checkpoints.optimizer_state import place_in_file, place_state
from prunus.errors import CheckpointError, SettingError
from prunus.optim import AdaBreg
from prunus.regularizers import RegL1

X = torch.randn(6, 4)


class Square(nn.Module):
    """Weight and bias of both layers have the shape (4,): no shape tells them apart."""

    def __init__(self) -> None:
        super().__init__()
        self.norms = nn.ModuleList([nn.LayerNorm(4), nn.LayerNorm(4)])

    def forward(self, x: Tensor) -> Tensor:
        return self.norms[1](self.norms[0](x).relu())


def net() -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3), nn.LSTM(3, 2))


def prune_all(model: nn.Module, name: str = "weight") -> nn.Module:
    for module in model.modules():
        if name in module._parameters:
            prune.l1_unstructured(module, name, amount=0.5)
    return model


def step(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad()
    out = model(X)
    (out[0] if isinstance(out, tuple) else out).pow(2).sum().backward()
    optimizer.step()


def adam(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.AdamW(model.parameters(), lr=0.1, weight_decay=0.1)


def grouped(model: nn.Module) -> torch.optim.Optimizer:
    vectors = [p for p in model.parameters() if p.dim() == 1]
    matrices = [p for p in model.parameters() if p.dim() > 1]
    return torch.optim.AdamW([{"params": matrices}, {"params": vectors, "weight_decay": 0.0}], lr=0.1)


def momentum(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)


def named(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.AdamW(model.named_parameters(), lr=0.1)


def bregman(model: nn.Module) -> torch.optim.Optimizer:
    return AdaBreg(model.parameters(), lr=0.1, reg=RegL1(0.01))


def by_name(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, dict[str, Any]]:
    names = [name for group in groups_of(model, optimizer) for name in group]
    state = optimizer.state_dict()["state"]
    return {name: state[number] for number, name in enumerate(names) if number in state}


def same(one: dict[str, dict[str, Any]], other: dict[str, dict[str, Any]]) -> bool:
    return one.keys() == other.keys() and all(
        torch.equal(torch.as_tensor(value), torch.as_tensor(other[name][key]))
        for name, entries in one.items()
        for key, value in entries.items()
        if value is not None
    )


@pytest.mark.parametrize("make", [adam, grouped, momentum, named, bregman])
@pytest.mark.parametrize("late", [False, True], ids=["built before pruning", "built after pruning"])
@pytest.mark.parametrize("into", ["clean", "pruned"])
@pytest.mark.parametrize("what", ["weight", "weight_ih_l0", "bias"])
def test_every_state_goes_to_the_parameter_it_was_of(make: Any, late: bool, into: str, what: str) -> None:
    """The target optimizer is built after its own model is pruned, so all four orders meet."""
    model, target = net(), net()
    optimizer = None if late else make(model)
    prune_all(model, what)
    optimizer = optimizer or make(model)
    step(model, optimizer)
    if into == "pruned":
        prune_all(target, what)
    loader = make(target)
    saved = copy.deepcopy(optimizer.state_dict())
    loader.load_state_dict(place_state(saved, target, loader, list(model.state_dict())))
    assert same(by_name(target, loader), by_name(model, optimizer))
    assert [group["lr"] for group in loader.param_groups] == [group["lr"] for group in optimizer.param_groups]


def test_without_it_moments_are_lost() -> None:
    """What the tests above guard against: torch itself takes a state in the wrong order without a word."""
    model, target = prune_all(net()), net()
    optimizer, loader = adam(model), adam(target)
    step(model, optimizer)
    loader.load_state_dict(optimizer.state_dict())
    assert not same(by_name(target, loader), by_name(model, optimizer))


def test_where_shapes_cannot_tell_it_has_to_be_said() -> None:
    model, target = prune_all(Square()), Square()
    optimizer, loader = adam(model), adam(target)
    step(model, optimizer)
    keys, state = list(model.state_dict()), optimizer.state_dict()
    with pytest.raises(CheckpointError, match='built before the model was pruned, or after.*optimizer_built="before"'):
        place_state(state, target, loader, keys)
    loader.load_state_dict(place_state(state, target, loader, keys, "after"))
    assert same(by_name(target, loader), by_name(model, optimizer))
    loader.load_state_dict(place_state(state, target, loader, keys, "before"))
    assert not same(by_name(target, loader), by_name(model, optimizer))
    with pytest.raises(SettingError, match="optimizer_built is 'later'"):
        place_state(state, target, loader, keys, "later")  # type: ignore[arg-type]


def test_names_that_the_optimizer_kept_tell_what_shapes_cannot() -> None:
    model, target = prune_all(Square()), Square()
    optimizer, loader = named(model), named(target)
    step(model, optimizer)
    loader.load_state_dict(place_state(optimizer.state_dict(), target, loader, list(model.state_dict())))
    assert same(by_name(target, loader), by_name(model, optimizer))
    assert loader.param_groups[0]["param_names"] == [name for name, _ in target.named_parameters()]


@pytest.mark.parametrize("make", [lambda model: torch.optim.SGD(model.parameters(), lr=0.1), adam])
def test_a_state_without_moments_needs_no_order(make: Any) -> None:
    model, target = prune_all(Square()), Square()
    optimizer, loader = make(model), make(target)
    if isinstance(optimizer, torch.optim.SGD):
        step(model, optimizer)
    loader.load_state_dict(place_state(optimizer.state_dict(), target, loader, list(model.state_dict())))


def test_an_order_spelled_out_in_code_is_that_of_the_code() -> None:
    """Groups that do not follow model.parameters() did not follow it when they were saved, either."""

    def make(model: Any) -> torch.optim.Optimizer:
        norms = [norm._parameters for norm in model.norms]
        order = [owned.get(f"{name}_orig", owned.get(name)) for name in ("bias", "weight") for owned in norms]
        return torch.optim.AdamW(order, lr=0.1)

    model, target = prune_all(Square()), Square()
    optimizer, loader = make(model), make(target)
    step(model, optimizer)
    loader.load_state_dict(place_state(optimizer.state_dict(), target, loader, list(model.state_dict())))
    assert same(by_name(target, loader), by_name(model, optimizer))


def test_what_does_not_belong_together_is_refused() -> None:
    model, target = prune_all(net()), net()
    optimizer = adam(model)
    step(model, optimizer)
    keys, state = list(model.state_dict()), optimizer.state_dict()
    with pytest.raises(CheckpointError, match=r"groups of \[8\] parameters, this one of \[4, 4\]"):
        place_state(state, target, grouped(target), keys)
    wider = nn.Sequential(nn.Linear(4, 7), nn.ReLU(), nn.Linear(7, 3), nn.LSTM(3, 2))
    with pytest.raises(CheckpointError, match="belongs to this model at all"):
        place_state(state, wider, adam(wider), keys)
    with pytest.raises(CheckpointError, match=r"does not have: parameter 0 of group 0 \(5, 4\)"):
        place_state(state, target, adam(net()), keys)
    with pytest.raises(CheckpointError, match=r"group 0 of the saved optimizer differs in a, b"):
        reorder({"param_groups": [{"params": [0]}]}, [["a"]], [["b"]])


@pytest.mark.parametrize("late", [False, True], ids=["built before pruning", "built after pruning"])
@pytest.mark.parametrize("make", [adam, named, momentum])
def test_a_file_alone_is_enough_for_one_group(late: bool, make: Any) -> None:
    model, target = nn.Sequential(net(), nn.Identity()), net()
    optimizer = None if late else make(model[0])
    prune_all(model)
    optimizer = optimizer or make(model[0])
    step(model, optimizer)
    weights = {name: torch.zeros(shape) for name, shape in ((n, p.shape) for n, p in target.named_parameters())}
    shuffled = {key.removesuffix("_orig"): weights[key.removesuffix("_orig")] for key, _ in model[0].named_parameters()}
    loader = make(target)
    loader.load_state_dict(place_in_file(optimizer.state_dict(), shuffled, ["0.weight", "2.weight"]))
    assert same(by_name(target, loader), by_name(model[0], optimizer))


def test_a_file_that_does_not_say_enough_is_refused() -> None:
    model = prune_all(net())
    weights = {name.removesuffix("_orig"): p for name, p in model.named_parameters()}
    with pytest.raises(CheckpointError, match=r"which parameters its optimizer has.*drop the optimizer's state"):
        place_in_file(grouped(model).state_dict(), weights, ["0.weight"])
    with pytest.raises(CheckpointError, match="nobody can know the order"):
        place_in_file(adam(model).state_dict(), {"shift": X, "gain": X.clone()}, ["gain"])


def test_groups_of_other_names_are_told_by_what_differs() -> None:
    with pytest.raises(CheckpointError, match="differs in b, c$"):
        require_same_groups({"param_groups": [{"params": [0, 1]}]}, [["w", "b"]], [["w", "c"]])


def test_a_name_of_the_model_itself_is_clean() -> None:
    assert clean_name("0.weight_orig", {"0.weight_orig", "0.weight"}) == "0.weight_orig"
    assert clean_name("1.weight_orig", {"0.weight"}) == "1.weight_orig"


def test_a_state_without_names_gets_none() -> None:
    state = {"state": {}, "param_groups": [{"params": [0, 1]}, {"params": [2], "param_names": ["c"]}]}
    groups = reorder(state, [["a", "b"], ["c"]], [["b", "a"], ["c"]])["param_groups"]
    assert groups == [{"params": [0, 1]}, {"params": [2], "param_names": ["c"]}]
