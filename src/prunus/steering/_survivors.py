"""Who lives: count, drop and call back the weights or groups that compete for one budget."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from prunus._native import ranking
from prunus._pieces import count, places
from prunus.criteria import Magnitude
from prunus.keep import Edge, edge_of_smallest, exactly
from prunus.masks import MaskStore
from prunus.optim import BregmanOptimizer, Regularized
from prunus.structures import Row, Structure

BUMP = 1e-3
"""How far past the dead zone's edge a dual is set when its group is called back, as a share of the edge."""
TINY = torch.finfo(torch.float32).tiny
"""Kept under lengths that are divided by."""
REACH = 1.2
"""The next drop looks this much further than the largest weight that the last one took."""
SIZE = Magnitude(p=2.0, average=True)
"""Root mean square of a group, so that groups of unlike sizes compare."""


@dataclass(frozen=True)
class Pool:
    """Parameters of one structure, whose weights or groups compete for one budget.

    >>> from prunus.optim import AdaBreg
    >>> from prunus.regularizers import RegL1
    >>> weight = torch.tensor([0.5, -0.4, 0.3], requires_grad=True)
    >>> optimizer = AdaBreg([weight], lr=0.0, reg=RegL1(0.1))
    >>> weight.sum().backward()
    >>> _ = optimizer.step()
    >>> with torch.no_grad():
    ...     pools(optimizer)[0].hold(budget=2, cap=2, closed=False, back=0.5)
    2
    >>> weight.detach()
    tensor([ 0.5000, -0.4000,  0.0000])
    """

    structure: Structure
    members: list[Regularized]
    masks: MaskStore | None = None
    hints: dict[Structure, float] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Number of weights or groups, alive or dead."""
        return sum(self.structure.groups(member.parameter.shape) for member in self.members)

    def hold(self, budget: int, cap: int, closed: bool, back: float) -> int:
        """Bring the survivors down to ``cap``, or up to ``budget`` once room has closed; return how many there are."""
        edge = self._edge(cap)
        survivors = self.survivors() if edge is None else edge.alive
        if survivors > cap:
            if edge is None:
                self._drop(survivors - cap, back)
            else:
                self._drop_up_to(edge, back)
            return cap
        if closed and survivors < budget:
            return survivors + self._fill(budget - survivors)
        return survivors

    def survivors(self) -> int:
        """Count the living, in one read of the weights."""
        return sum(count(living(member.parameter, self.structure)) for member in self.members)

    def _edge(self, cap: int) -> Edge | None:
        """Return who has to go, where single weights compete and a kernel can walk all of them and their duals."""
        weights, duals = zip(*[(each.parameter, each.state["sub_grad"]) for each in self.members], strict=True)
        able = self._single and all(ranking.can_walk(dual, torch.float32) for dual in duals)
        return edge_of_smallest(weights, cap) if able else None

    @property
    def _single(self) -> bool:
        return all(self.structure.members(member.parameter.shape) == 1 for member in self.members)

    def _drop_up_to(self, edge: Edge, back: float) -> None:
        stay = edge.stay
        for member in self.members:
            length = back * member.group["reg"].radius(member.parameter.shape)
            stay = ranking.drop_(member.parameter, member.state["sub_grad"], edge.size, stay, length)

    def _drop(self, surplus: int, back: float) -> None:
        """Drop the ``surplus`` smallest; rank only the small, so that the selection costs little."""
        rows = self._small(surplus)
        sizes = [sizes_at(each.parameter, self.structure, row) for each, row in zip(self.members, rows, strict=True)]
        gone = [~stays for stays in exactly(sizes, sum(map(len, rows)) - surplus)]
        largest = [float(size[out].max()) for size, out in zip(sizes, gone, strict=True) if out.any()]
        self.hints[self.structure] = REACH * max(largest)
        for member, row, out in zip(self.members, rows, gone, strict=True):
            drop_(member, self.structure, row[out], back)

    def _small(self, surplus: int) -> list[Tensor]:
        """Return the places of all living up to some size, ``surplus`` of them at least.

        The size is a guess from the last drop. Whoever is above it outranks all below, so the guess decides what the
        ranking costs and never what it says. For groups all living are returned: their lengths cost more to take.
        """
        hint = self.hints.get(self.structure) if self._single else None
        if hint is not None:
            rows = [small(member.parameter, hint) for member in self.members]
            if sum(map(len, rows)) >= surplus:
                return rows
        return [places(living(member.parameter, self.structure)) for member in self.members]

    def _fill(self, missing: int) -> int:
        """Call back the dead whose duals are nearest to the edge, masked ones excepted; return how many came."""
        nearness = [_nearness(member, self.structure) for member in self.members]
        dead = [self.free(member) & ~living(member.parameter, self.structure) for member in self.members]
        missing = min(missing, sum(map(count, dead)))
        for member, returns in zip(self.members, exactly(nearness, missing, among=dead), strict=True):
            revive_(member, self.structure, places(returns))
        return missing

    def free(self, member: Regularized) -> Tensor:
        """Return one flag a group: may any of its weights live, as far as masks are concerned?"""
        mask = None if self.masks is None else self.masks.of(member.parameter)
        flags = torch.ones_like(member.parameter, dtype=torch.bool) if mask is None else mask
        return living(flags, self.structure)


def pools(
    optimizer: BregmanOptimizer, masks: MaskStore | None = None, hints: dict[Structure, float] | None = None
) -> list[Pool]:
    """Sort steered parameters by structure; only those that have begun to train (and hold a weight) compete."""
    found: dict[Structure, list[Regularized]] = {}
    for member in optimizer.regularized():
        if member.parameter.numel() and member.state:
            found.setdefault(member.group["reg"].structure, []).append(member)
    return [Pool(structure, members, masks, {} if hints is None else hints) for structure, members in found.items()]


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
    delta = member.group.get("delta", 1.0)
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


def _nearness(member: Regularized, structure: Structure) -> Tensor:
    """How close each group's dual is to the edge of the dead zone; 1 is on it."""
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
