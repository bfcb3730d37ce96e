"""What actions and measurements ask about the groups of a target: do they fit, which live, what are they worth."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from prunus.criteria import Criterion
from prunus.errors import RunError, StructureError
from prunus.masks import MaskStore
from prunus.select import Target
from prunus.structures import Structure


def require_fit(target: Target, structure: Structure) -> None:
    """Raise StructureError, naming the parameter, when the structure cannot split it.

    >>> from torch import nn
    >>> from prunus.select import targets
    >>> from prunus.structures import Kernel
    >>> require_fit(targets(nn.Linear(3, 2))[0], Kernel())
    Traceback (most recent call last):
        ...
    prunus.errors.StructureError: Kernel() does not fit weight of shape [2, 3]: ...
    """
    shape = target.canonical(target.parameter).shape
    reason = structure.misfit(shape)
    spans = structure.budget or structure.members(shape) not in (1, shape.numel()) if reason is None else False
    if spans and target.transposed and getattr(target.module, "groups", 1) > 1:
        reason = "in a grouped transposed convolution one slice spans several output channels"
    if reason:
        raise StructureError(f"{structure!r} does not fit {target.name} of shape {list(shape)}: {reason}")


def alive_groups(target: Target, structure: Structure, masks: MaskStore) -> Tensor:
    """Return one flag a group: is any of its weights not masked?

    >>> from torch import nn
    >>> from prunus.select import targets
    >>> from prunus.structures import Row
    >>> chosen = targets(nn.Linear(2, 2))
    >>> store = MaskStore(chosen)
    >>> store.update({"weight": torch.tensor([[False, False], [False, True]])})
    >>> alive_groups(chosen[0], Row(), store)
    tensor([False,  True])
    """
    if target.name in masks:
        return structure.any_in_groups(target.canonical(masks.flags(target.name)))
    parameter = target.parameter
    shape = target.canonical(parameter).shape
    return torch.ones(structure.groups(shape), dtype=torch.bool, device=parameter.device)


def score(
    target: Target,
    criterion: Criterion,
    structure: Structure,
    generator: torch.Generator,
    part: slice = slice(None),
) -> Tensor:
    """Score the groups of a target, or of some of its outputs, by its weights and, where needed, their gradients.

    >>> from torch import nn
    >>> from prunus.criteria import Magnitude
    >>> from prunus.select import targets
    >>> from prunus.structures import Row
    >>> model = nn.Linear(2, 2)
    >>> model.weight.data = torch.tensor([[1.0, -2.0], [0.5, 0.0]])
    >>> score(targets(model)[0], Magnitude(), Row(), torch.Generator())
    tensor([3.0000, 0.5000])
    """
    gradient = target.parameter.grad
    if criterion.needs_gradient and gradient is None:
        raise RunError(f"{criterion!r} needs gradients, and {target.name} has none: use a window in steps")
    weight = target.canonical(target.parameter.detach())[part]
    oriented = None if gradient is None else target.canonical(gradient)[part]
    return criterion.score(weight, structure, gradient=oriented, generator=generator)


def single_weights(target: Target, structure: Structure) -> Tensor | None:
    """Return the weights that are a group each, not yet made positive; None where others score, or half precision.

    >>> from torch import nn
    >>> from prunus.select import targets
    >>> from prunus.structures import Element, Row
    >>> target = targets(nn.Linear(3, 2))[0]
    >>> single_weights(target, Element()).shape, single_weights(target, Row())
    (torch.Size([6]), None)
    """
    weight = target.canonical(target.parameter.detach())
    if structure.members(weight.shape) != 1 or weight.dtype not in (torch.float32, torch.float64):
        return None
    return structure.split(weight).squeeze(1)


def diverged(parameters: Mapping[str, Tensor]) -> str:
    """Name what holds NaN, or return an empty string.

    >>> diverged({"a": torch.ones(2), "b": torch.tensor([float("nan")])}), diverged({"a": torch.ones(2)})
    ('b holds NaN', '')
    """
    names = [name for name, parameter in parameters.items() if parameter.isnan().any()]
    return f"{', '.join(names)} {'hold' if len(names) > 1 else 'holds'} NaN" if names else ""
