"""Who lives: which of the weights or groups that compete for one budget are dropped and called back."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from prunus._native import ranking
from prunus._pieces import count, places
from prunus.keep import Edge, edge_of_smallest, exactly
from prunus.masks import MaskStore
from prunus.optim import BregmanOptimizer, Regularized
from prunus.steering._member import drop_, living, nearness, revive_, sizes_at, small
from prunus.structures import Structure

REACH = 1.2
"""The next drop looks this much further than the largest weight that the last one took."""


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
        close = [nearness(member, self.structure) for member in self.members]
        dead = [self.free(member) & ~living(member.parameter, self.structure) for member in self.members]
        missing = min(missing, sum(map(count, dead)))
        for member, returns in zip(self.members, exactly(close, missing, among=dead), strict=True):
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
