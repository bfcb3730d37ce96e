"""The λ that leaves exactly the asked number alive, read off the duals."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from prunus._pieces import count
from prunus.errors import SettingError, require_fraction, require_number
from prunus.keep import exactly, pruned_count
from prunus.masks import MaskStore
from prunus.optim import BregmanOptimizer, Regularized
from prunus.schedules import Schedule
from prunus.steering._member import dual_lengths
from prunus.steering._reach import warn_of_gaps
from prunus.steering._survivors import Pool, pools
from prunus.steering.base import Steering, require_dual


@dataclass
class QuantileLambda(Steering):
    r"""Set λ, at every update, to the value at which exactly the scheduled number of weights (or groups) survives.

    A group g (a single weight for RegL1) with price c (1; √n for groups) dies where ‖v_g‖ ≤ λ·lambda_scale·c. So with
    n of them and K = n − ⌊s·n⌋ to survive

    .. math:: \rho_g = \frac{\lVert v_g \rVert}{c_g\,\mathrm{lambda\_scale}_g}, \qquad
              \lambda = \rho_{(K+1)} \text{, the largest but K}, \qquad
              \theta \leftarrow \mathrm{prox}_{\delta J}(\delta v)

    The weights are rebuilt at once, so the count is exact after every update and not only after the next step. Where
    ρ ties at λ, or rounding puts one on the wrong side, the earlier parameter and the lower index live, as in
    :func:`prunus.keep.exactly`: their duals are set 10⁻³ past the edge. Groups of unlike structures (kernels beside
    single weights) each get their own λ and their own exact count; masked weights never live.

    Args:
        target: final sparsity s, a share of zeros in [0, 1].
        schedule: sparsity over the progress of the window, ending at ``target``. None (default) asks for the target
            from the first update on; ``Linear(final=0.9, initial=0.99)`` lets a sparse start grow.
        ramp: share of the window in which the schedule runs, in (0, 1]; without a schedule it does nothing.

    Use it to find λ without a search, or where sparsity has to be right at once. Since λ jumps with the duals, all
    survivors are shrunk by a moving amount: for accuracy prefer :class:`SparsityBudget`. The weights are rebuilt at the
    new λ, so the optimizer's ``lambda_change`` has nothing left to do. With a window that acts every k steps the count
    is exact at those steps only.

    Raises SettingError for an optimizer without dual or a random regularizer. Source: prunus; the threshold is the
    order statistic of hard-thresholding methods (Blumensath and Davies, 2009), taken of the dual.

    >>> from prunus.optim import LinBreg
    >>> from prunus.regularizers import RegL1
    >>> weight = torch.tensor([0.5, -0.4, 0.3, 0.2], requires_grad=True)
    >>> optimizer = LinBreg([weight], lr=0.0, reg=RegL1(0.1))
    >>> weight.sum().backward()
    >>> _ = optimizer.step()
    >>> QuantileLambda(target=0.5).after_step(optimizer, step=0, progress=0.0)
    >>> weight.detach(), round(optimizer.param_groups[0]["reg"].lamda, 4)
    (tensor([ 0.2000, -0.1000,  0.0000,  0.0000]), 0.4)
    """

    target: float
    schedule: Schedule | None = None
    ramp: float = 1.0
    _figures: dict[str, float] = field(default_factory=dict, init=False, repr=False, compare=False)
    _lambda: float = field(default=0.0, init=False, repr=False, compare=False)
    _warned: bool = field(default=False, init=False, repr=False, compare=False)
    _masks: MaskStore | None = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check the settings against each other."""
        require_fraction("target", self.target)
        require_number("ramp", self.ramp, 0.0, 1.0, open_low=True)
        if self.schedule is not None and self.schedule.final != self.target:
            raise SettingError(f"target is {self.target}, but the schedule ends at {self.schedule.final}")

    @property
    def needs_progress(self) -> bool:  # type: ignore[override]
        """Only a schedule follows the progress of the run."""
        return self.schedule is not None

    def prepare(self, optimizer: BregmanOptimizer, masks: MaskStore) -> None:
        """Refuse what keeps no dual, and regularizers whose zeros are drawn at random; remember the masks."""
        require_dual(optimizer, "a quantile of the duals")
        self._masks = masks

    def sparsity_at(self, progress: float) -> float:
        """Return the asked sparsity at ``progress`` of the window."""
        return self.target if self.schedule is None else self.schedule(progress / self.ramp)

    @torch.no_grad()
    def after_step(self, optimizer: BregmanOptimizer, step: int, progress: float) -> None:
        """Set λ, rebuild the weights, and settle ties."""
        level, survivors, missing = self.sparsity_at(progress), 0, 0
        self._lambda = 0.0
        for pool in pools(optimizer, self._masks):
            asked = pool.size - pruned_count(level, pool.size)
            alive = self._settle(pool, asked)
            survivors, missing = survivors + alive, missing + asked - alive
        if missing and not self._warned:
            self._warned = warn_of_gaps(optimizer, self.target, missing)
        self._figures = {"lambda": self._lambda, "asked_sparsity": level, "survivors": float(survivors)}

    def _settle(self, pool: Pool, asked: int) -> int:
        """Let as many of a pool live as asked, or as masks allow; return how many do."""
        strength = quantile(pool, asked)
        rebuild_(pool, strength)
        self._lambda = max(self._lambda, strength)
        return pool.hold(asked, asked, closed=True, back=1.0)

    def finish(self, optimizer: BregmanOptimizer) -> None:
        """Warn NoEffect about steered weights that never had a gradient, and so took no part."""
        if not self._warned:
            self._warned = warn_of_gaps(optimizer, self.target, missing=0)

    def missed(self) -> str:
        """Return the sparsity that was asked for last, where the ramp goes on to another."""
        asked = self._figures.get("asked_sparsity", self.target)
        return "" if math.isclose(asked, self.target) else f"sparsity {asked:.4g} of {self.target:.4g}"

    def metrics(self) -> dict[str, float]:
        """Return λ (the largest, where structures differ), the asked sparsity and the survivors of the last update."""
        return dict(self._figures)

    def state_dict(self) -> dict[str, Any]:
        """Return the figures of the last update, for the log alone: λ itself is saved with the optimizer."""
        return {"figures": dict(self._figures)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what :meth:`state_dict` returned."""
        self._figures = dict(state["figures"])


def quantile(pool: Pool, asked: int) -> float:
    """Return the smallest λ at which no more than ``asked`` groups of a pool that masks leave free survive.

    >>> from prunus.optim import LinBreg
    >>> from prunus.regularizers import RegL1
    >>> weight = torch.tensor([0.5, -0.4, 0.3], requires_grad=True)
    >>> optimizer = LinBreg([weight], lr=0.0, reg=RegL1(0.0))
    >>> weight.sum().backward()
    >>> _ = optimizer.step()
    >>> [round(quantile(pools(optimizer)[0], asked), 4) for asked in (0, 1, 3)]
    [0.5, 0.4, 0.0]
    """
    lengths = [
        dual_lengths(member, pool.structure) / (member.group["lambda_scale"] * price(member)) for member in pool.members
    ]
    free = [pool.free(member) for member in pool.members]
    asked = min(asked, sum(map(count, free)))
    alive = exactly(lengths, asked, among=free)
    dead = [each[may & ~lives] for each, may, lives in zip(lengths, free, alive, strict=True)]
    return max((float(each.max()) for each in dead if each.numel()), default=0.0)


def rebuild_(pool: Pool, strength: float) -> None:
    """Set λ of every group of a pool and write θ = prox(δv), masked places left at zero."""
    for member in pool.members:
        reg, delta = member.group["reg"], member.group["delta"]
        reg.lamda = strength * member.group["lambda_scale"]
        member.parameter.copy_(reg.prox(delta * member.state["sub_grad"], delta))
        mask = None if pool.masks is None else pool.masks.of(member.parameter)
        if mask is not None:
            member.parameter.masked_fill_(~mask, 0.0)
        if "lamda" in member.state:  # weights and duals agree at this λ, so lambda_change has nothing to make good
            member.state["lamda"] = reg.lamda


def price(member: Regularized) -> float:
    """Return what one unit of λ charges for one unit of a group's norm.

    >>> from prunus.optim import LinBreg
    >>> from prunus.regularizers import RegL1, RegL1L2
    >>> weight = torch.ones(2, 4, requires_grad=True)
    >>> [price(next(LinBreg([weight], reg=reg).regularized())) for reg in (RegL1(0.1), RegL1L2(0.1))]
    [1.0, 2.0]
    """
    charge: float = member.group["reg"].price(member.parameter.shape)
    return charge
