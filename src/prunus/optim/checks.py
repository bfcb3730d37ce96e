"""What an optimizer refuses, and how it calls the parameter that is to blame."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from prunus.errors import Faults, PrunusError, RunError, SettingError, StructureError
from prunus.regularizers import Regularizer


def parameter_name(group: dict[str, Any], index: int, parameter: Tensor) -> str:
    """Return how messages call a parameter: its place, and its name where the group knows names.

    >>> weight = torch.zeros(1)
    >>> parameter_name({"params": [weight], "param_names": ["head.weight"]}, 2, weight)
    "parameter 0 of group 2 ('head.weight')"
    """
    place = next(i for i, p in enumerate(group["params"]) if p is parameter)
    names = group.get("param_names")
    return f"parameter {place} of group {index}" + (f" ({names[place]!r})" if names else "")


def misfits(
    groups: Sequence[dict[str, Any]], index: int, obstacle: Callable[[Tensor, Regularizer], str]
) -> Iterator[PrunusError]:
    """Yield what the update rule, the regularizer or the implementation of one group could not handle at a step.

    Args:
        groups: Parameter groups.
        index: Which of them.
        obstacle: Says why no native call can step a parameter; asked when the group wants nothing else.

    >>> from prunus.regularizers import RegL1L2Conv
    >>> [str(fault) for fault in misfits([{"params": [torch.zeros(2, 2)], "reg": RegL1L2Conv()}], 0, lambda *_: "")]
    ['parameter 0 of group 0: Kernel() cannot split a tensor of shape (2, 2): it has 2 dimensions, at least 3 ...']
    """
    group, reg = groups[index], groups[index]["reg"]
    if isinstance(reg, Regularizer) and any(reg is other["reg"] for other in groups[:index]):
        shared = "reg is also the reg of another group, so one λ would steer both; pass a copy.deepcopy"
        yield SettingError(f"group {index}: {shared}")
    seen: set[int] = set()
    for p in group["params"]:
        name = parameter_name(group, index, p)
        if id(p) in seen:
            yield SettingError(f"{name} is in the group twice, so every step would be taken twice; leave one out")
        seen.add(id(p))
        if p.is_complex():
            yield SettingError(f"{name} is complex; split it with torch.view_as_real")
        elif p.is_inference():
            yield SettingError(
                f"{name} was made in inference mode, where nothing can train; build the model outside it"
            )
        elif isinstance(reg, Regularizer) and (reason := _refusal(reg, p)):
            yield StructureError(f"{name}: {reason}")
        elif group.get("implementation") == "fused" and (reason := obstacle(p, reg)):
            yield SettingError(f'{name} cannot be stepped by implementation="fused": {reason}. Take "auto"')


def shared(groups: Sequence[dict[str, Any]]) -> Iterator[PrunusError]:
    """Yield the parameters of the last group that an earlier one holds too: two rules would move them.

    >>> weight = torch.zeros(1)
    >>> [str(fault) for fault in shared([{"params": [weight]}, {"params": [weight]}])]
    ['parameter 0 of group 1 is parameter 0 of group 0 too; leave one out']
    """
    *others, last = groups
    held = {id(p): parameter_name(group, index, p) for index, group in enumerate(others) for p in group["params"]}
    for p in last["params"]:
        if id(p) in held:
            yield SettingError(f"{parameter_name(last, len(others), p)} is {held[id(p)]} too; leave one out")


def _refusal(reg: Regularizer, parameter: Tensor) -> str:
    """Return why a regularizer cannot take a parameter, or nothing."""
    try:
        reg.radius(parameter.shape)
    except StructureError as fault:
        return str(fault)
    return ""


def raise_all(heading: str, found: Sequence[PrunusError]) -> None:
    """Raise one error with everything that was found: a StructureError when it is all about shapes; nothing for none.

    >>> raise_all("LinBreg", [SettingError("lr is -1"), StructureError("a bias has no rows")])
    Traceback (most recent call last):
        ...
    prunus.errors.SettingError: LinBreg:
    - lr is -1
    - a bias has no rows
    """
    faults = Faults(heading)
    for fault in found:
        faults.add(str(fault))
    faults.raise_as(StructureError if all(isinstance(fault, StructureError) for fault in found) else SettingError)


def require_not_captured(name: str) -> None:
    """Refuse to be recorded into a CUDA graph, whose replays would know nothing of a new lr, λ or step count.

    >>> require_not_captured("LinBreg")
    """
    if torch.cuda.is_initialized() and torch.cuda.is_current_stream_capturing():
        raise RunError(
            f"{name}.step() is being captured into a CUDA graph, which would freeze lr, λ and the step count for ever. "
            "Capture forward and backward, and step outside the graph"
        )
