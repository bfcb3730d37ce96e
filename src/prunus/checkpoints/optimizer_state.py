"""An optimizer's state with the right parameters, though torch's pruning has changed the order they are numbered in."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from prunus.checkpoints.torch_format import ORIG, never_pruned_order, places
from prunus.errors import CheckpointError, require_known

Groups = list[list[str]]
"""Clean parameter names, a list a group, in the order in which an optimizer numbers them."""
Built = Literal["before", "after"]
"""Whether an optimizer was built before its model was pruned or after."""
STATISTICS = ("running_mean", "running_var")
"""Buffers of torch's norms; all others of its layers are integers."""
OTHERWISE = "drop the optimizer's state, or load the file into a model with prunus.checkpoints.load_pruned"


class Order(NamedTuple):
    """The orders that matter for reading a saved optimizer: of the model now, before pruning, and of the file.

    >>> Order(("w", "b"), ("w", "b"), ("b", "w")).layouts([["w", "b"]])
    {'before': [['w', 'b']], 'after': [['b', 'w']]}
    """

    now: Sequence[str]
    before: Sequence[str] | None
    file: Sequence[str]

    def layouts(self, wanted: Groups) -> dict[Built, Groups]:
        """Return the orders that the saved optimizer may have had, when this one has ``wanted``.

        A group in the order of the model was made from ``model.parameters()``, so it followed the order of then; any
        other order was spelled out in code that does not depend on it. A file without pruned entries (``file`` is
        empty) is of a clean model.
        """
        before = self.now if self.before is None else self.before
        after = self.file or before
        return {
            "before": [self._then(group, before) for group in wanted],
            "after": [self._then(g, after) for g in wanted],
        }

    def _then(self, group: list[str], order: Sequence[str]) -> list[str]:
        return _sorted(group, order) if _sorted(group, self.now) == group else group


def order_of(model: nn.Module, file_keys: Sequence[str]) -> Order:
    """Return the orders of a model's parameters: its own, that before it was pruned, and that of a file's keys.

    >>> order_of(nn.Linear(2, 1), ["bias", "weight_orig", "weight_mask"]).file
    ('bias', 'weight')
    """
    pruned = {place.name for place in places(model)}
    now = clean_names(model).values()
    known = set(now)
    cleaned = dict.fromkeys(_clean(key, known) for key in file_keys)
    moved = any(_clean(key, known) != key for key in file_keys)
    before = never_pruned_order(list(now), pruned)
    return Order(tuple(now), before, tuple(key for key in cleaned if key in known) if moved else ())


def clean_names(model: nn.Module) -> dict[nn.Parameter, str]:
    """Return the name of every parameter as it is, or was, without pruning.

    >>> list(clean_names(nn.utils.prune.identity(nn.Linear(2, 1), "weight")).values())
    ['bias', 'weight']
    """
    originals = {id(place.original): place.name for place in reversed(places(model))}
    return {parameter: originals.get(id(parameter), name) for name, parameter in model.named_parameters()}


def groups_of(model: nn.Module, optimizer: Optimizer) -> Groups:
    """Return the clean names of an optimizer's parameters; CheckpointError when one is not the model's.

    >>> model = nn.Linear(2, 1)
    >>> groups_of(model, torch.optim.SGD(model.parameters()))
    [['weight', 'bias']]
    """
    names = clean_names(model)
    foreign = [
        f"parameter {at} of group {index} {tuple(parameter.shape)}"
        for index, group in enumerate(optimizer.param_groups)
        for at, parameter in enumerate(group["params"])
        if parameter not in names
    ]
    if foreign:
        raise CheckpointError(f"the optimizer updates what the model does not have: {', '.join(foreign)}")
    return [[names[parameter] for parameter in group["params"]] for group in optimizer.param_groups]


def reorder(state: Mapping[str, Any], saved: Groups, wanted: Groups) -> dict[str, Any]:
    """Return an optimizer's state dict numbered for ``wanted``, every parameter keeping what was its own.

    Settings of the groups pass as they are; names that torch keeps in ``param_names`` follow.

    Args:
        state: ``optimizer.state_dict()``; it is not changed.
        saved: names of the parameters in the order in which ``state`` numbers them.
        wanted: names in the order of the optimizer that shall load it.

    Errors: CheckpointError when a group does not hold the same names in both.

    >>> model = nn.Linear(2, 1)
    >>> optimizer = torch.optim.SGD([model.bias, model.weight], momentum=0.9)
    >>> model(torch.ones(1, 2)).sum().backward()
    >>> optimizer.step()
    >>> moved = reorder(optimizer.state_dict(), [["bias", "weight"]], [["weight", "bias"]])
    >>> moved["state"][0]["momentum_buffer"]
    tensor([[1., 1.]])
    """
    require_same_groups(state, saved, wanted)
    numbers = _numbers(state, saved)
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

    Errors: as :func:`layout_of` and :func:`groups_of`.

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
    kept = _kept_names(state, set(names))
    sizes = [len(group["params"]) for group in state["param_groups"]]
    if kept is None and sizes != [len(before)]:
        has = f"it has groups of {sizes} parameters, the file {len(before)}"
        raise CheckpointError(f"the file does not say which parameters its optimizer has: {has}; {OTHERWISE}")
    wanted = [before] if kept is None else [_sorted(group, before) for group in kept]
    shapes = {name: weights[name].shape for name in names}
    return reorder(state, layout_of(state, wanted, Order(before, before, names), shapes, built), wanted)


def _parameters_in(weights: Mapping[str, Any]) -> list[str]:
    """Names of what may be parameters: floating, not a statistic of a norm, a tied one under its first name."""
    found: dict[Any, str] = {}
    for name, value in weights.items():
        if isinstance(value, Tensor) and value.is_floating_point() and name.rpartition(".")[2] not in STATISTICS:
            found.setdefault((value.data_ptr(), value.shape) if value.numel() else name, name)
    return list(found.values())


def layout_of(
    state: Mapping[str, Any], wanted: Groups, order: Order, shapes: Mapping[str, Sequence[int]], built: Built | None
) -> Groups:
    """Return the names behind the numbers of a saved optimizer state.

    Names that the optimizer kept itself (``param_names``) decide; else ``built``; else the shapes of the state, which
    tell whether the optimizer was built before the model was pruned or after. Where both would give every parameter
    the same state, either is right.

    Args:
        state: the saved ``optimizer.state_dict()``.
        wanted: :func:`groups_of` the optimizer that shall load it.
        order: :func:`order_of` model and file.
        shapes: shape of every parameter.
        built: "before" or "after" when it is known.

    Errors: CheckpointError when the groups are not those of the file, when no order fits, and when both fit.

    >>> order = Order(("w", "b"), ("w", "b"), ("b", "w"))
    >>> state = {"state": {0: {"m": torch.ones(3)}}, "param_groups": [{"params": [0, 1]}]}
    >>> layout_of(state, [["w", "b"]], order, {"w": (2, 3), "b": (3,)}, None)
    [['b', 'w']]
    """
    if built is not None:
        require_known("optimizer_built", built, ("before", "after"))
    require_same_groups(state, wanted, wanted)
    kept = _kept_names(state, set(order.now))
    if kept is not None:
        return kept
    layouts = order.layouts(wanted)
    if built is not None:
        return layouts[built]
    fitting = [layout for layout in layouts.values() if _fits(state, layout, shapes)]
    if len(fitting) == 2 and _same_outcome(state, *fitting):
        return fitting[0]
    if len(fitting) != 1:
        several = "was built before the model was pruned, or after" if fitting else "belongs to this model at all"
        raise CheckpointError(
            f"the shapes do not tell whether the saved optimizer {several}, and so not which parameter a state belongs "
            'to: pass optimizer_built="before" or "after", or leave the optimizer\'s state out'
        )
    return fitting[0]


def require_same_groups(state: Mapping[str, Any], saved: Groups, wanted: Groups) -> None:
    """Raise CheckpointError unless the state and both lists of names have the same groups.

    >>> require_same_groups({"param_groups": [{"params": [0]}]}, [["w"]], [["w"], ["b"]])
    Traceback (most recent call last):
        ...
    prunus.errors.CheckpointError: the saved optimizer has groups of [1] parameters, this one of [1, 1]
    """
    sizes = [len(group["params"]) for group in state["param_groups"]]
    if not sizes == [len(group) for group in saved] == [len(group) for group in wanted]:
        now = [len(group) for group in wanted]
        raise CheckpointError(f"the saved optimizer has groups of {sizes} parameters, this one of {now}")
    for index, (was, now_) in enumerate(zip(saved, wanted, strict=True)):
        if set(was) != set(now_):
            other = sorted(set(was) ^ set(now_))
            raise CheckpointError(f"group {index} of the saved optimizer differs in {', '.join(other)}")


def _kept_names(state: Mapping[str, Any], known: set[str]) -> Groups | None:
    """Names from ``param_names``, when every group has them and they are this model's."""
    kept = [[_clean(name, known) for name in group.get("param_names", ())] for group in state["param_groups"]]
    named = all(len(names) == len(group["params"]) for names, group in zip(kept, state["param_groups"], strict=True))
    return kept if named and all(name in known for names in kept for name in names) else None


def _fits(state: Mapping[str, Any], layout: Groups, shapes: Mapping[str, Sequence[int]]) -> bool:
    """Whether every tensor of more than one element has the shape of the parameter it would belong to."""
    return all(
        tuple(value.shape) == tuple(shapes[name])
        for name, number in _numbers(state, layout).items()
        for value in state["state"].get(number, {}).values()
        if isinstance(value, Tensor) and value.numel() > 1
    )


def _same_outcome(state: Mapping[str, Any], one: Groups, other: Groups) -> bool:
    mine, theirs = _numbers(state, one), _numbers(state, other)
    entries = state["state"]
    return all(_equal(entries.get(mine[name], {}), entries.get(theirs[name], {})) for name in mine)


def _equal(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return one.keys() == other.keys() and all(
        torch.equal(value, other[key])
        if isinstance(value, Tensor) and isinstance(other[key], Tensor)
        else value is other[key] or (not isinstance(value, Tensor) and bool(value == other[key]))
        for key, value in one.items()
    )


def _numbers(state: Mapping[str, Any], names: Groups) -> dict[str, Any]:
    """The number that the state gives to each name."""
    pairs = [
        zip(group, saved["params"], strict=True) for group, saved in zip(names, state["param_groups"], strict=True)
    ]
    return {name: number for pair in pairs for name, number in pair}


def _clean(key: str, known: set[str]) -> str:
    bare = key.removesuffix(ORIG)
    return bare if key not in known and bare in known else key


def _sorted(names: Sequence[str], order: Sequence[str]) -> list[str]:
    rank = {name: index for index, name in enumerate(order)}
    return sorted(names, key=lambda name: rank.get(name, len(rank)))
