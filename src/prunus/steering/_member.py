"""One parameter whose groups compete: which of them live, how large they are, how one is dropped and called back."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from prunus._pieces import places
from prunus.criteria import Magnitude
from prunus.optim import Regularized
from prunus.structures import Row, Structure

BUMP = 1e-3
"""How far past the dead zone's edge a dual is set when its group is called back, as a share of the edge."""
TINY = torch.finfo(torch.float32).tiny
"""Kept under lengths that are divided by."""
SIZE = Magnitude(p=2.0, average=True)
"""Root mean square of a group, so that groups of unlike sizes compare."""


def living(parameter: Tensor, structure: Structure) -> Tensor:
    """Return one flag a group: whether any of its weights is not zero.

    >>> living(torch.tensor([[0.0, 0.0], [0.0, -2.0]]), Row())
    tensor([False,  True])
    """
    flags = parameter.detach().bool()
    return flags.reshape(-1) if structure.members(parameter.shape) == 1 else structure.split(flags).any(dim=1)


def small(parameter: Tensor, size: float) -> Tensor:
    """Return the places of the weights that are neither zero nor above ``size``; NaN too, so that ranking names it.

    >>> small(torch.tensor([0.0, -0.1, 0.3, float("nan")]), 0.2)
    tensor([1, 3])
    """
    weights = parameter.detach().reshape(-1)
    if weights.is_cpu and weights.element_size() >= 4:  # NumPy takes half the time of torch
        values = weights.numpy()
        return torch.from_numpy(np.flatnonzero(~(np.abs(values) > size) & (values != 0.0)))
    return places(weights.bool().logical_and_(weights.abs().gt(size).logical_not_()))


def sizes_at(parameter: Tensor, structure: Structure, rows: Tensor) -> Tensor:
    """Return the size of the groups at ``rows``: the root mean square of their weights.

    >>> sizes_at(torch.tensor([[3.0, -3.0], [0.0, 0.0], [1.0, 7.0]]), Row(), torch.tensor([0, 2]))
    tensor([3., 5.])
    """
    groups = structure.split(parameter.detach())
    if groups.shape[1] == 1:
        return groups.squeeze(1)[rows].abs()
    sizes: Tensor = SIZE.score(groups[rows], Row())
    return sizes


def drop_(member: Regularized, structure: Structure, rows: Tensor, back: float) -> None:
    """Zero the groups at ``rows`` in place and pull their duals back to ``back`` times the edge of the dead zone."""
    if not rows.numel():
        return
    dual = member.state["sub_grad"]
    length = back * member.group["reg"].radius(member.parameter.shape)
    write_(dual, structure, rows, shortened(structure.split(dual)[rows], length))
    write_(member.parameter, structure, rows, torch.zeros((), dtype=member.parameter.dtype, device=dual.device))


def shortened(groups: Tensor, length: float) -> Tensor:
    """Return the rows of (groups, members), none longer than ``length``.

    >>> shortened(torch.tensor([[3.0, 4.0], [0.3, 0.4]]), 1.0)
    tensor([[0.6000, 0.8000],
            [0.3000, 0.4000]])
    """
    if groups.shape[1] == 1:
        return groups.clamp(-length, length)
    short: Tensor = groups * (length / groups.norm(dim=1, keepdim=True).clamp(min=TINY)).clamp(max=1.0)
    return short


def revive_(member: Regularized, structure: Structure, rows: Tensor) -> None:
    """Put the duals of the groups at ``rows`` just past the edge of the dead zone, and write the weights that gives."""
    if not rows.numel():
        return
    reg, dual = member.group["reg"], member.state["sub_grad"]
    edge = reg.radius(member.parameter.shape)
    values = _feasible(structure.split(dual)[rows], reg.domain)
    direction = torch.where(values.norm(dim=1, keepdim=True) == 0, torch.ones_like(values), values)
    length = edge + max(BUMP * edge, 1e-6)
    write_(dual, structure, rows, direction * (length / direction.norm(dim=1, keepdim=True)))
    delta = member.group["delta"]
    weights = structure.split(reg.prox(delta * dual, delta))[rows]
    write_(member.parameter, structure, rows, weights.to(member.parameter.dtype))


def write_(tensor: Tensor, structure: Structure, rows: Tensor, values: Tensor) -> None:
    """Set the groups at ``rows`` in place, through the view that ``split`` gives or, where it copies, by joining.

    >>> weight = torch.zeros(2, 2)
    >>> write_(weight, Row(), torch.tensor([1]), torch.ones(1, 2))
    >>> weight
    tensor([[0., 0.],
            [1., 1.]])
    """
    groups = structure.split(tensor)
    groups[rows] = values
    if groups.untyped_storage().data_ptr() != tensor.untyped_storage().data_ptr():
        tensor.copy_(structure.join(groups, tensor.shape))


def nearness(member: Regularized, structure: Structure) -> Tensor:
    """Return how close each group's dual is to the edge of the dead zone; 1 is on it."""
    edge: float = max(member.group["reg"].radius(member.parameter.shape), TINY)
    return dual_lengths(member, structure).div_(edge)


def dual_lengths(member: Regularized, structure: Structure) -> Tensor:
    """Return the norm of each group's dual, of the part that could make a weight live.

    >>> from prunus.optim import LinBreg
    >>> from prunus.regularizers import RegL1L2
    >>> weight = torch.zeros(2, 2, requires_grad=True)
    >>> optimizer = LinBreg([weight], lr=1.0, reg=RegL1L2(9.0))
    >>> (weight * torch.tensor([[-3.0, -4.0], [0.0, 1.0]])).sum().backward()
    >>> _ = optimizer.step()
    >>> dual_lengths(next(optimizer.regularized()), Row())
    tensor([5., 1.])
    """
    groups = _feasible(structure.split(member.state["sub_grad"]), member.group["reg"].domain)
    lengths: Tensor = groups.abs().squeeze(1) if groups.shape[1] == 1 else torch.linalg.vector_norm(groups, dim=1)
    return lengths


def _feasible(dual: Tensor, domain: str) -> Tensor:
    """A dual that points out of a one-sided domain can never make a weight live."""
    return dual.clamp(min=0.0) if domain == "nonnegative" else dual
