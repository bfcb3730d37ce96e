"""From a model and its configured groups to groups that hold parameters, or to all reasons why that cannot be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from torch import nn

from prunus.errors import Faults, SelectionError
from prunus.select.assignment import assign, misfits, robbed, shown, unmet
from prunus.select.group import Group
from prunus.select.group_config import read_groups
from prunus.select.target import Target, parameters

Held = list[tuple[Group, tuple[Target, ...]]]


def distribute(model: nn.Module, configs: Any) -> tuple[list[Target], Held]:
    """Return the frozen parameters, and the groups with what they hold; raise SelectionError with all that is wrong.

    What the groups hold is asked only once each is right by itself.

    >>> _, held = distribute(nn.Linear(2, 2), [{"name": "weights", "param_names": ["weight"]}])
    >>> [(group.name, [target.name for target in targets]) for group, targets in held]
    [('weights', ['weight']), ('fallback', ['bias'])]
    """
    faults = Faults("pruning_groups")
    groups = read_groups(configs, model, faults)
    every = list(parameters(model))
    trained = [target for target in every if target.parameter.requires_grad]
    frozen = [target for target in every if not target.parameter.requires_grad]
    for fault in _unready(model, trained):
        faults.add(fault)
    for group in groups if trained else ():
        for fault in unmet(group, trained, frozen):
            faults.add(f"group {group.name!r}: {fault}")
    faults.raise_as(SelectionError)
    return frozen, _shared(groups, trained, faults)


def _unready(model: nn.Module, trained: Sequence[Target]) -> Iterator[str]:
    """Yield why the model has no parameters to share, or not yet."""
    for name, parameter in model.named_parameters():
        if isinstance(parameter, nn.parameter.UninitializedParameter):
            yield f"{name} has no shape yet; run a batch through the model first"
    if not trained:
        yield "the model has no trainable parameter"


def _shared(groups: Sequence[Group], trained: Sequence[Target], faults: Faults) -> Held:
    """Return the groups that get something, each followed by what it spares; groups that do not fit raise."""
    indices = assign(trained, groups)
    shares: Held = []
    for number, group in enumerate(groups):
        taken = [target for target, index in zip(trained, indices, strict=True) if index == number]
        spared = tuple(target for target in taken if group.spares(target))
        charged = tuple(target for target in taken if not group.spares(target))
        rest = Group(f"{group.name}.spared", settings=group.settings)
        shares += [share for share in ((group, charged), (rest, spared)) if share[1]]
        for fault in _useless(group, charged, spared):
            faults.add(f"group {group.name!r}: {fault}")
    for fault in robbed(groups, trained, indices):
        faults.add(fault)
    faults.raise_as(SelectionError)
    return shares


def _useless(group: Group, charged: Sequence[Target], spared: Sequence[Target]) -> Iterator[str]:
    """Yield why the regularizer or the sparse start of a group has nothing that it can act on."""
    yield from misfits(group, charged)
    if spared and not (charged or group.is_fallback):
        names = shown([target.name for target in spared])
        hint = "to charge them, name vectors in param_names and norms in layer_types"
        yield f"it matches only biases, vectors and norms ({names}), which are spared; {hint}"


def idle(shares: Held) -> Iterator[str]:
    """Yield what was asked for and cannot happen.

    >>> list(idle([(Group("g", lambda_scale=1.0), ())]))[0]
    "group 'g' has lambda_scale 1, but RegNone charges nothing"
    """
    for group, held in shares:
        if group.lambda_scale > 0 and not group.charges:
            yield f"group {group.name!r} has lambda_scale {group.lambda_scale:g}, but RegNone charges nothing"
        if group.charges and all(group.reg.ignores(target.parameter.shape) for target in held):
            yield f"group {group.name!r}: {group.reg} ignores all it holds: {shown([target.name for target in held])}"
        if group.start.sparsity_rate > 0 and not group.charges:
            yield f"group {group.name!r} starts sparse, but RegNone lets its zeros go with the first step"
    if not any(group.charges for group, _ in shares):
        yield "no group charges anything, so nothing will become sparse"
