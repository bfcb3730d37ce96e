"""Does a checkpoint belong to this model and this optimizer? Answered before anything is changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from prunus.errors import CheckpointError, Faults, did_you_mean

SHOWN = 12


def model_misfits(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """Return one sentence for every name, shape or dtype in which two state dicts differ.

    Args:
        wanted: ``state_dict()`` of the model in memory.
        found: the state dict of the file.

    >>> import torch
    >>> model_misfits({"weight": torch.ones(2, 3)}, {"weigth": torch.ones(2, 3)})
    ["'weight' is missing from the file. Did you mean 'weigth'?", "'weigth' of the file is not in the model"]
    """
    extra = [name for name in found if name not in wanted]
    absent = [name for name in wanted if name not in found]
    missing = [f"{name!r} is missing from the file. {did_you_mean(name, extra)}" for name in absent]
    unexpected = [f"{name!r} of the file is not in the model" for name in extra]
    changed = [fault for name in wanted if name in found for fault in _tensor_misfits(name, wanted[name], found[name])]
    return missing + unexpected + changed


def group_shapes(optimizer: Optimizer) -> list[list[list[int]]]:
    """Return the shape of every parameter, a list a group: an optimizer's state dict numbers parameters, no more.

    >>> import torch
    >>> group_shapes(torch.optim.SGD([torch.ones(2, requires_grad=True)]))
    [[[2]]]
    """
    return [[list(parameter.shape) for parameter in group["params"]] for group in optimizer.param_groups]


def optimizer_misfits(ours: list[list[list[int]]], theirs: list[list[list[int]]]) -> list[str]:
    """Return one sentence for every group, or else every parameter, whose shapes differ from the file's.

    Args:
        ours: :func:`group_shapes` of the optimizer in memory.
        theirs: the same of the file.

    >>> optimizer_misfits([[[2]]], [[[2], [3]]])
    ['group 0 holds 2 parameters in the file, 1 in the optimizer']
    """
    if len(ours) != len(theirs):
        return [f"the file holds {len(theirs)} parameter groups, the optimizer {len(ours)}"]
    sizes = [
        f"group {index} holds {len(saved)} parameters in the file, {len(mine)} in the optimizer"
        for index, (mine, saved) in enumerate(zip(ours, theirs, strict=True))
        if len(mine) != len(saved)
    ]
    return sizes or [
        f"parameter {place} of group {index} has shape {tuple(was)} in the file, {tuple(now)} in the optimizer"
        for index, (mine, saved) in enumerate(zip(ours, theirs, strict=True))
        for place, (now, was) in enumerate(zip(mine, saved, strict=True))
        if now != was
    ]


def require_fit(heading: str, faults: list[str]) -> None:
    """Raise CheckpointError with the first faults when there are any.

    >>> require_fit("a.ckpt does not fit", ["'weight' is missing"])
    Traceback (most recent call last):
        ...
    prunus.errors.CheckpointError: a.ckpt does not fit: 'weight' is missing
    """
    collected = Faults(heading)
    for fault in faults[:SHOWN]:
        collected.add(fault)
    if len(faults) > SHOWN:
        collected.add(f"and {len(faults) - SHOWN} more")
    collected.raise_as(CheckpointError)


def _tensor_misfits(name: str, wanted: Any, found: Any) -> Iterator[str]:
    if not isinstance(wanted, Tensor) or not isinstance(found, Tensor):
        return
    if wanted.shape != found.shape:
        yield f"{name!r} has shape {tuple(found.shape)} in the file, {tuple(wanted.shape)} in the model"
    elif wanted.dtype != found.dtype:
        yield f"{name!r} is {found.dtype} in the file, {wanted.dtype} in the model"
