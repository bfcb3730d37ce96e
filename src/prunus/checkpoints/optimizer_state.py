"""An optimizer's state with the right parameters, though torch's pruning has changed the order they are numbered in."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from prunus.checkpoints.optimizer_layout import kept_names, layout_of, numbers_of, require_same_groups
from prunus.checkpoints.optimizer_order import Built, Groups, Order, clean_names, groups_of, in_order, order_of
from prunus.checkpoints.torch_format import never_pruned_order
from prunus.errors import CheckpointError

STATISTICS = ("running_mean", "running_var")
"""Buffers of torch's norms; all others of its layers are integers."""
OTHERWISE = "drop the optimizer's state, or load the file into a model with prunus.checkpoints.load_pruned"


def reorder(state: Mapping[str, Any], saved: Groups, wanted: Groups) -> dict[str, Any]:
    """Return an optimizer's state dict numbered for ``wanted``, every parameter keeping what was its own.

    Settings of the groups pass as they are; names that torch keeps in ``param_names`` follow.

    Args:
        state: ``optimizer.state_dict()``; it is not changed.
        saved: names of the parameters in the order in which ``state`` numbers them.
        wanted: names in the order of the optimizer that shall load it.

    Errors: CheckpointError when a group does not hold the same names in both.

    >>> import torch
    >>> model = nn.Linear(2, 1)
    >>> optimizer = torch.optim.SGD([model.bias, model.weight], momentum=0.9)
    >>> model(torch.ones(1, 2)).sum().backward()
    >>> optimizer.step()
    >>> moved = reorder(optimizer.state_dict(), [["bias", "weight"]], [["weight", "bias"]])
    >>> moved["state"][0]["momentum_buffer"]
    tensor([[1., 1.]])
    """
    require_same_groups(state, saved, wanted)
    numbers = numbers_of(state, saved)
    fresh = {name: index for index, name in enumerate(name for group in wanted for name in group)}
    entries = {fresh[name]: state["state"][number] for name, number in numbers.items() if number in state["state"]}
    groups = [
        {**group, "params": [fresh[name] for name in names]}
        | ({"param_names": list(names)} if "param_names" in group else {})
        for group, names in zip(state["param_groups"], wanted, strict=True)
    ]
    return {**state, "state": entries, "param_groups": groups}


def place_state(
    state: Mapping[str, Any],
    model: nn.Module,
    optimizer: Optimizer,
    file_keys: Sequence[str],
    built: Built | None = None,
) -> dict[str, Any]:
    """Return a saved optimizer state such that ``optimizer.load_state_dict`` gives every parameter its own.

    Args:
        state: the saved ``optimizer.state_dict()``.
        model: the model that ``optimizer`` trains, clean or pruned by torch.
        optimizer: the optimizer that shall load the state.
        file_keys: keys of the saved model, in the file's order.
        built: "before" or "after" pruning, where shapes cannot tell.

    Errors: as :func:`prunus.checkpoints.optimizer_layout.layout_of` and ``groups_of``.

    >>> import torch
    >>> pruned, clean = nn.utils.prune.identity(nn.Linear(2, 1), "weight"), nn.Linear(2, 1)
    >>> saved, optimizer = torch.optim.Adam(pruned.parameters()), torch.optim.Adam(clean.parameters())
    >>> pruned(torch.ones(1, 2)).sum().backward()
    >>> saved.step()
    >>> moved = place_state(saved.state_dict(), clean, optimizer, list(pruned.state_dict()))
    >>> moved["state"][0]["exp_avg"].shape
    torch.Size([1, 2])
    """
    wanted = groups_of(model, optimizer)
    shapes = {name: parameter.shape for parameter, name in clean_names(model).items()}
    return reorder(state, layout_of(state, wanted, order_of(model, file_keys), shapes, built), wanted)


def place_in_file(
    state: Mapping[str, Any], weights: Mapping[str, Any], pruned: Collection[str], built: Built | None = None
) -> dict[str, Any]:
    """Return a saved optimizer state numbered for the clean model, from the file alone.

    Args:
        state: the saved ``optimizer.state_dict()``.
        weights: the fused weights, in the file's order.
        pruned: names of those that were pruned.
        built: "before" or "after" pruning, where shapes cannot tell.

    Errors: CheckpointError when the file does not say which parameters the optimizer has (several groups without
    ``param_names``, unknown buffers), when nobody can know their order before pruning, and as :func:`layout_of`.

    >>> import torch
    >>> pruned = nn.utils.prune.identity(nn.Linear(2, 1), "weight")
    >>> saved = torch.optim.Adam(pruned.parameters())
    >>> pruned(torch.ones(1, 2)).sum().backward()
    >>> saved.step()
    >>> weights = {"bias": torch.ones(1), "weight": torch.ones(1, 2)}
    >>> place_in_file(saved.state_dict(), weights, ["weight"])["state"][0]["exp_avg"].shape
    torch.Size([1, 2])
    """
    names = _parameters_in(weights)
    before = never_pruned_order(names, pruned)
    if before is None:
        raise CheckpointError(f"nobody can know the order of the parameters before pruning; {OTHERWISE}")
    kept = kept_names(state, set(names))
    sizes = [len(group["params"]) for group in state["param_groups"]]
    if kept is None and sizes != [len(before)]:
        has = f"it has groups of {sizes} parameters, the file {len(before)}"
        raise CheckpointError(f"the file does not say which parameters its optimizer has: {has}; {OTHERWISE}")
    wanted = [before] if kept is None else [in_order(group, before) for group in kept]
    shapes = {name: weights[name].shape for name in names}
    return reorder(state, layout_of(state, wanted, Order(before, before, names), shapes, built), wanted)


def _parameters_in(weights: Mapping[str, Any]) -> list[str]:
    """Names of what may be parameters: floating, not a statistic of a norm, a tied one under its first name."""
    found: dict[Any, str] = {}
    for name, value in weights.items():
        if isinstance(value, Tensor) and value.is_floating_point() and name.rpartition(".")[2] not in STATISTICS:
            found.setdefault((value.data_ptr(), value.shape) if value.numel() else name, name)
    return list(found.values())
