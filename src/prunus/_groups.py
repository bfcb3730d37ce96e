"""What actions and measurements ask about the groups of a target: do they fit, which live, what are they worth."""

from __future__ import annotations

import torch
from torch import Tensor

from prunus.criteria import Criterion
from prunus.errors import RunError, StructureError
from prunus.masks import MaskStore
from prunus.select import Target
from prunus.structures import Structure


def require_fit(target: Target, structure: Structure) -> None:
    """Raise StructureError, naming the parameter, when the structure cannot split it."""
    shape = target.canonical(target.parameter).shape
    reason = structure.misfit(shape)
    spans = structure.budget or structure.members(shape) not in (1, shape.numel()) if reason is None else False
    if spans and target.transposed and getattr(target.module, "groups", 1) > 1:
        reason = "in a grouped transposed convolution one slice spans several output channels"
    if reason:
        raise StructureError(f"{structure!r} does not fit {target.name} of shape {list(shape)}: {reason}")


def alive_groups(target: Target, structure: Structure, masks: MaskStore) -> Tensor:
    """Return one flag a group: is any of its weights not masked?"""
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
    """Score the groups of a target, or of some of its outputs, by its weights and, where needed, their gradients."""
    gradient = target.parameter.grad
    if criterion.needs_gradient and gradient is None:
        raise RunError(f"{criterion!r} needs gradients, and {target.name} has none: use a window in steps")
    weight = target.canonical(target.parameter.detach())[part]
    oriented = None if gradient is None else target.canonical(gradient)[part]
    return criterion.score(weight, structure, gradient=oriented, generator=generator)


def single_weights(target: Target, structure: Structure) -> Tensor | None:
    """Return the weights that are a group each, not yet made positive; None where others score, or half precision."""
    weight = target.canonical(target.parameter.detach())
    if structure.members(weight.shape) != 1 or weight.dtype not in (torch.float32, torch.float64):
        return None
    return structure.split(weight).squeeze(1)
