"""An exact cap on how many weights may live, with room for dead ones to earn their return."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch

from prunus.errors import NoEffect, SettingError, require_count, require_fraction, require_number
from prunus.keep import pruned_count
from prunus.masks import MaskStore
from prunus.optim import BregmanOptimizer
from prunus.schedules import Cubic, Schedule
from prunus.steering._reach import warn_of_gaps
from prunus.steering._survivors import pools
from prunus.steering.base import Steering, raise_lambda, require_dual
from prunus.structures import Structure


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
    r"""Let exactly the scheduled number of weights (or groups) live; λ stays small, or rises a little at a time.

    With n members (weights, or groups of the regularizer's structure) and progress p of the run, the budget is
    K(p) = n − ⌊schedule(min(1, p/ramp))·n⌋. After every optimizer step::

        alive ← members whose weight is not zero after the proximal step
        cap   ← K(p);  every `period` steps, while p < room_until:  cap ← ⌊K(p)·(1 − room_at(p))⌋
        if more than cap are alive:                      # drop
            keep the cap largest ‖θ_g‖/√n_g  (ties: earlier parameter, lower index)
            others:  θ_g ← 0,  v_g ← v_g·min(1, back·r_g/‖v_g‖)       # r_g: edge of the dead zone, λ or λ√n_g
        else if fewer than K are alive and room has closed:  # fill
            call back the dead with the largest ‖v_g‖/r_g:  ‖v_g‖ ← r_g·(1 + 10⁻³),  θ_g ← prox(δ·v_g)
        if p < room_until:  λ ← λ + rise·lr              # acts at the next step; the duals are left alone

    Why room: under a full budget a newcomer is always the smallest and is dropped at once, so nothing ever
    returns. A refresh drops a little more than asked; the duals of the dropped and of the long dead then race to
    the edge of the dead zone, and those whose gradients insist take the free places. It is drop-and-grow with the
    accumulated dual in place of one gradient.

    Why rise: each step pulls every survivor back by δ·rise·lr, as the gradient of rise·‖θ‖₁ would, at no cost. Weights
    that the loss does not hold up fall to the cap, instead of living on what they were born with; after room has
    closed λ rests and the survivors recover. With AdaBreg, whose direction is about ±1, rise is in shares of a step.

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
        rise: what λ gains at every step until ``room_until``, in learning rates (of the group, times its
            ``lambda_scale``), at least 0; try 0.05 with AdaBreg.

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
    every_step: ClassVar[bool] = True

    target: float
    schedule: Schedule | None = None
    ramp: float = 0.6
    room: float = 0.3
    room_until: float = 0.75
    period: int = 200
    back: float = 0.5
    rise: float = 0.0
    _figures: dict[str, float] = field(default_factory=dict, init=False, repr=False, compare=False)
    _hints: dict[Structure, float] = field(default_factory=dict, init=False, repr=False, compare=False)
    _masks: MaskStore | None = field(default=None, init=False, repr=False, compare=False)
    _warned: bool = field(default=False, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check the settings against each other."""
        for name in ("target", "room", "room_until", "back"):
            require_fraction(name, getattr(self, name))
        require_number("ramp", self.ramp, 0.0, 1.0, open_low=True)
        require_number("rise", self.rise, 0.0)
        require_count("period", self.period)
        if self.room == 1.0:
            raise SettingError("room is 1.0, expected less than 1: a refresh must leave survivors")
        if self.schedule is None:
            self.schedule = Cubic(final=self.target)
        if self.schedule.final != self.target:
            raise SettingError(f"target is {self.target}, but the schedule ends at {self.schedule.final}")

    def prepare(self, optimizer: BregmanOptimizer, masks: MaskStore) -> None:
        """Refuse what keeps no dual, and regularizers whose zeros are drawn at random; remember the masks."""
        require_dual(optimizer, "a sparsity budget")
        self._masks = masks

    def sparsity_at(self, progress: float) -> float:
        """Return the scheduled sparsity at ``progress`` of the run."""
        assert self.schedule is not None
        return self.schedule(progress / self.ramp)

    @torch.no_grad()
    def after_step(self, optimizer: BregmanOptimizer, step: int, progress: float) -> None:
        """Drop what is over the budget; fill up what is missing once room has closed."""
        refresh = (step + 1) % self.period == 0
        free = room_at(progress, self.room, self.room_until) if refresh else 0.0
        closed = progress >= max(self.ramp, self.room_until if self.room else 0.0)
        survivors = missing = 0
        for pool in pools(optimizer, self._masks, self._hints):
            budget = pool.size - pruned_count(self.sparsity_at(progress), pool.size)
            alive = pool.hold(budget, int(budget * (1.0 - free)), closed, self.back)
            survivors, missing = survivors + alive, missing + max(0, budget - alive)
        if self.rise and progress < self.room_until:
            raise_lambda(optimizer, self.rise)
        if closed and not self._warned:
            self._warned = warn_of_gaps(optimizer, self.target, missing)
        self._figures = {"budget_sparsity": self.sparsity_at(progress), "budget_survivors": float(survivors)}

    @torch.no_grad()
    def finish(self, optimizer: BregmanOptimizer) -> None:
        """Warn NoEffect where more live than the last step left: its window ended, and training brought them back."""
        held = int(self._figures.get("budget_survivors", 0))
        alive = sum(pool.survivors() for pool in pools(optimizer, self._masks))
        if self._figures and alive > held:
            text = f"the sparsity budget left {held:,} alive when its window ended, and {alive:,} live now: let the "
            warnings.warn(text + "window reach the end of the run", NoEffect, stacklevel=4)

    def missed(self) -> str:
        """Return the scheduled sparsity of the last step, where the ramp goes on to another."""
        asked = self._figures.get("budget_sparsity", self.target)
        return "" if math.isclose(asked, self.target) else f"sparsity {asked:.4g} of {self.target:.4g}"

    def metrics(self) -> dict[str, float]:
        """Return the scheduled sparsity and the number of survivors after the last step."""
        return dict(self._figures)

    def state_dict(self) -> dict[str, Any]:
        """Return the figures of the last step, for the log alone: the budget itself follows from the step number."""
        return {"figures": dict(self._figures)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what :meth:`state_dict` returned."""
        self._figures = dict(state["figures"])
