"""An exact cap on how many weights may live, with room for dead ones to earn their return."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from prunus.criteria import Magnitude
from prunus.errors import SettingError, require_count, require_fraction, require_number
from prunus.keep import exactly, pruned_count
from prunus.schedules import Cubic, Schedule
from prunus.steering.base import Steered, SteeredOptimizer, Steering, regularizer_of
from prunus.structures import Structure

BUMP = 1e-3
"""How far past the dead zone's edge a dual is set when its group is called back, as a share of the edge."""

_SIZE = Magnitude(p=2.0, average=True)


def room_at(progress: float, room: float, until: float) -> float:
    r"""Return the share of survivors that is set free at a refresh: a half cosine from ``room`` to 0 at ``until``.

    >>> room_at(0.0, 0.3, 0.75), room_at(0.375, 0.3, 0.75), room_at(0.75, 0.3, 0.75)
    (0.3, 0.15, 0.0)
    """
    if progress >= until:
        return 0.0
    return room * 0.5 * (1.0 + math.cos(math.pi * progress / until))


@dataclass
class SparsityBudget(Steering):
    r"""Let exactly the scheduled number of weights (or groups) live; λ stays small and fixed.

    With n members (weights, or groups of the regularizer's structure) and progress p of the run, the budget is
    K(p) = n − ⌊schedule(min(1, p/ramp))·n⌋. After every optimizer step::

        alive ← members whose weight is not zero after the proximal step
        cap   ← K(p);  every `period` steps, while p < room_until:  cap ← ⌊K(p)·(1 − room_at(p))⌋
        if more than cap are alive:                      # drop
            keep the cap largest ‖θ_g‖/√n_g  (ties: earlier parameter, lower index)
            others:  θ_g ← 0,  v_g ← v_g·min(1, back·r_g/‖v_g‖)       # r_g: edge of the dead zone, λ or λ√n_g
        else if fewer than K are alive and room has closed:  # fill
            call back the dead with the largest ‖v_g‖/r_g:  ‖v_g‖ ← r_g·(1 + 10⁻³),  θ_g ← prox(δ·v_g)

    Why room: under a full budget a newcomer is always the smallest and is dropped at once, so nothing ever
    returns. A refresh drops a little more than asked; the duals of the dropped and of the long dead then race to
    the edge of the dead zone, and those whose gradients insist take the free places. It is drop-and-grow with the
    accumulated dual in place of one gradient. Because λ never rises, survivors carry no growing shrinkage bias.

    *The dual revives weights* only into free places: at most K live after any step. *The target is lower than what
    λ gives by itself* (more zeros than asked): while room is open nothing is done; once it has closed (and the ramp
    is over) the dead nearest to crossing are called back, so the count is still exact. *On resume* nothing is lost:
    the budget is a function of the step number, everything else lives in the optimizer's state.

    Args:
        target: final sparsity in [0, 1], of weights or of groups, over all steered parameters of one structure.
        schedule: sparsity as a function of ramp progress; its ``final`` must be ``target``. Default ``Cubic``.
        ramp: share of the run after which the schedule has ended, in (0, 1].
        room: largest share of survivors set free at a refresh, in [0, 1); 0 never lets a weight return.
        room_until: share of the run after which no room is made, in [0, 1].
        period: optimizer steps between refreshes.
        back: where a dropped dual is put, as a share of the dead zone's edge, in [0, 1].

    Choose λ (the regularizer's ``lamda``) at 2 to 5 learning rates of AdaBreg: it sets how long a dead weight must
    insist before it returns. Source: prunus (docs/methods/sparsity_budget.md); the dual is that of Bungert et al.,
    JMLR 23(192), 2022; drop-and-grow is that of Evci et al., RigL, 2020.

    >>> from prunus.optim import AdaBreg
    >>> from prunus.regularizers import RegL1
    >>> weight = torch.tensor([0.5, -0.4, 0.3, 0.2], requires_grad=True)
    >>> optimizer = AdaBreg([weight], lr=0.01, reg=RegL1(0.02))
    >>> budget = SparsityBudget(target=0.5)
    >>> weight.sum().backward()
    >>> _ = optimizer.step()
    >>> budget.after_step(optimizer, step=99, progress=1.0)
    >>> int(weight.count_nonzero())
    2
    """

    needs_progress: ClassVar[bool] = True

    target: float
    schedule: Schedule | None = None
    ramp: float = 0.6
    room: float = 0.3
    room_until: float = 0.75
    period: int = 200
    back: float = 0.5
    _figures: dict[str, float] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check the settings against each other."""
        for name in ("target", "room", "room_until", "back"):
            require_fraction(name, getattr(self, name))
        require_number("ramp", self.ramp, 0.0, 1.0, open_low=True)
        require_count("period", self.period)
        if self.room == 1.0:
            raise SettingError("room is 1.0, expected less than 1: a refresh must leave survivors")
        if self.schedule is None:
            self.schedule = Cubic(final=self.target)
        if self.schedule.final != self.target:
            raise SettingError(f"target is {self.target}, but the schedule ends at {self.schedule.final}")

    def begin(self, optimizer: SteeredOptimizer) -> None:
        """Refuse regularizers that draw at random: their zeros are not decided by the dual."""
        for member in optimizer.regularized():
            if regularizer_of(member).random:
                raise SettingError(f"a sparsity budget cannot hold {regularizer_of(member)!r}: its prox is random")

    def sparsity_at(self, progress: float) -> float:
        """Return the scheduled sparsity at ``progress`` of the run."""
        assert self.schedule is not None
        return self.schedule(min(1.0, progress / self.ramp))

    @torch.no_grad()
    def after_step(self, optimizer: SteeredOptimizer, step: int, progress: float) -> None:
        """Drop what is over the budget; fill up what is missing once room has closed."""
        refresh = (step + 1) % self.period == 0
        free = room_at(progress, self.room, self.room_until) if refresh else 0.0
        closed = progress >= max(self.ramp, self.room_until if self.room else 0.0)
        survivors = 0
        for pool in _pools(optimizer):
            budget = pool.size - pruned_count(self.sparsity_at(progress), pool.size)
            survivors += pool.hold(budget, int(budget * (1.0 - free)), closed, self.back)
        self._figures = {"budget_sparsity": self.sparsity_at(progress), "budget_survivors": float(survivors)}

    def metrics(self) -> dict[str, float]:
        """Return the scheduled sparsity and the number of survivors after the last step."""
        return dict(self._figures)


def _pools(optimizer: SteeredOptimizer) -> Iterator[_Pool]:
    """Steered parameters that share a structure compete with each other; unlike structures do not compare."""
    pools: dict[Structure, list[Steered]] = {}
    for member in optimizer.regularized():
        if member.parameter.numel() and member.state:
            pools.setdefault(regularizer_of(member).structure, []).append(member)
    return (_Pool(structure, members) for structure, members in pools.items())


@dataclass(frozen=True)
class _Pool:
    """Parameters whose members compete for one budget."""

    structure: Structure
    members: list[Steered]

    @property
    def size(self) -> int:
        """Number of weights or groups."""
        return sum(self.structure.groups(member.parameter.shape) for member in self.members)

    def hold(self, budget: int, cap: int, closed: bool, back: float) -> int:
        """Bring the number of survivors to at most ``cap``, or up to ``budget`` if room has closed; return it."""
        alive = [self._alive(member.parameter) for member in self.members]
        living = int(torch.stack([flags.count_nonzero().cpu() for flags in alive]).sum())
        if living > cap:
            sizes = [_SIZE.score(member.parameter, self.structure) for member in self.members]
            for member, was, stays in zip(self.members, alive, exactly(sizes, cap, among=alive), strict=True):
                drop_(member, was & ~stays, self.structure, back)
            return cap
        if closed and living < budget:
            dead = [~flags for flags in alive]
            nearness = [_nearness(member, self.structure) for member in self.members]
            for member, back_in in zip(self.members, exactly(nearness, budget - living, among=dead), strict=True):
                revive_(member, back_in, self.structure)
            return budget
        return living

    def _alive(self, parameter: Tensor) -> Tensor:
        """One flag a group: does any of its weights live?"""
        flags = parameter.ne(0)
        if self.structure.members(parameter.shape) == 1:
            return flags.reshape(-1)
        return self.structure.split(flags).any(dim=1)


def drop_(member: Steered, dropped: Tensor, structure: Structure, back: float) -> None:
    """Zero the dropped groups in place and pull their dual back to ``back`` times the edge of the dead zone.

    >>> from prunus.optim import AdaBreg
    >>> from prunus.regularizers import RegL1
    >>> from prunus.structures import Element
    >>> weight = torch.tensor([0.5, -0.4], requires_grad=True)
    >>> optimizer = AdaBreg([weight], lr=0.0, reg=RegL1(0.1))
    >>> weight.sum().backward(); _ = optimizer.step()
    >>> member = next(optimizer.regularized())
    >>> with torch.no_grad():
    ...     drop_(member, torch.tensor([False, True]), Element(), back=0.5)
    >>> member.state["sub_grad"]
    tensor([ 0.6000, -0.0500])
    """
    shape, dual = member.parameter.shape, member.state["sub_grad"]
    member.parameter.masked_fill_(structure.expand(dropped, shape), 0.0)
    edge = regularizer_of(member).radius(shape)
    shrink = (back * edge / _lengths(dual, structure)).clamp(max=1.0)
    dual.mul_(structure.expand(torch.where(dropped, shrink, torch.ones_like(shrink)), shape))


def revive_(member: Steered, revived: Tensor, structure: Structure) -> None:
    """Put the dual of the revived groups just past the edge of the dead zone and write the weights it gives.

    >>> from prunus.optim import AdaBreg
    >>> from prunus.regularizers import RegL1
    >>> from prunus.structures import Element
    >>> weight = torch.tensor([0.5, 0.0], requires_grad=True)
    >>> optimizer = AdaBreg([weight], lr=0.0, reg=RegL1(0.1))
    >>> weight.sum().backward(); _ = optimizer.step()
    >>> with torch.no_grad():
    ...     revive_(next(optimizer.regularized()), torch.tensor([False, True]), Element())
    >>> int(weight.count_nonzero())
    2
    """
    reg, shape, dual = regularizer_of(member), member.parameter.shape, member.state["sub_grad"]
    edge = reg.radius(shape)
    groups = _feasible(structure.split(dual), reg.domain)
    still = groups.norm(dim=1, keepdim=True) == 0
    direction = torch.where(still, torch.ones_like(groups), groups)
    pushed = direction * ((edge + max(BUMP * edge, 1e-6)) / direction.norm(dim=1, keepdim=True))
    flags = structure.expand(revived, shape)
    dual.copy_(torch.where(flags, structure.join(pushed, shape), dual))
    delta = member.group.get("delta", 1.0)
    weights = reg.prox(delta * dual, delta).to(member.parameter.dtype)
    member.parameter.copy_(torch.where(flags, weights, member.parameter))


def _nearness(member: Steered, structure: Structure) -> Tensor:
    """How close each group's dual is to the edge of the dead zone; 1 is on it."""
    reg = regularizer_of(member)
    groups = _feasible(structure.split(member.state["sub_grad"]), reg.domain)
    return groups.norm(dim=1) / max(reg.radius(member.parameter.shape), torch.finfo(torch.float32).tiny)


def _feasible(dual: Tensor, domain: str) -> Tensor:
    """A dual that points out of a one-sided domain can never make a weight live."""
    return dual.clamp(min=0.0) if domain == "nonnegative" else dual


def _lengths(dual: Tensor, structure: Structure) -> Tensor:
    """Norm of each group's dual, kept off zero to divide by."""
    return structure.split(dual).norm(dim=1).clamp(min=torch.finfo(torch.float32).tiny)
