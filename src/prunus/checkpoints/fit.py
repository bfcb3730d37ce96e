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


def optimizer_misfits(optimizer: Optimizer, found: Mapping[str, Any]) -> list[str]:
    """Return one sentence for every group size, or shape of a parameter's state, that does not fit ``optimizer``.

    >>> import torch
    >>> one = torch.optim.SGD([torch.ones(2, requires_grad=True)])
    >>> two = torch.optim.SGD([torch.ones(2, requires_grad=True), torch.ones(3, requires_grad=True)])
    >>> optimizer_misfits(one, two.state_dict())
    ['group 0 holds 2 parameters in the file, 1 in the optimizer']
    """
    groups, saved = optimizer.param_groups, found["param_groups"]
    if len(groups) != len(saved):
        return [f"the file holds {len(saved)} parameter groups, the optimizer {len(groups)}"]
    sizes = [(len(theirs["params"]), len(ours["params"])) for ours, theirs in zip(groups, saved, strict=True)]
    faults = [
        f"group {index} holds {theirs} parameters in the file, {ours} in the optimizer"
        for index, (theirs, ours) in enumerate(sizes)
        if theirs != ours
    ]
    return faults or list(_state_misfits(optimizer, found))


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


def _state_misfits(optimizer: Optimizer, found: Mapping[str, Any]) -> Iterator[str]:
    """State tensors that are neither of their parameter's shape nor single numbers belong to other parameters."""
    ours = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    theirs = [index for group in found["param_groups"] for index in group["params"]]
    for parameter, index in zip(ours, theirs, strict=True):
        for key, value in found["state"].get(index, {}).items():
            if isinstance(value, Tensor) and value.dim() == parameter.dim() and value.shape != parameter.shape:
                shapes = f"shape {tuple(value.shape)} in the file, the parameter {tuple(parameter.shape)}"
                yield f"{key!r} of parameter {index} has {shapes}"
