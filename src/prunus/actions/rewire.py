"""Drop some living weights and let as many dead ones grow: dynamic sparse training."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from prunus._groups import alive_groups, score
from prunus._pieces import count, one_thread
from prunus.actions.base import Action, Bound, Moment, Site
from prunus.criteria import Criterion, Gradient, Magnitude
from prunus.errors import NoEffect, RunError, SettingError, require_count
from prunus.keep import exactly, pruned_count
from prunus.schedules import Cosine, Schedule
from prunus.select import Select, Target
from prunus.structures import Element, Structure


@dataclass(frozen=True)
class Rewire(Action):
    r"""Move weights: in each parameter, drop the least of the living and let as many of the dead come back.

    .. math:: k_l = \min(\lfloor f(p)\, a_l \rfloor,\ d_l)

    Of a_l living and d_l dead weights (or groups of ``structure``) of parameter l, the k_l with the lowest ``drop``
    score go and the k_l dead with the highest ``grow`` score come, those just dropped excepted; ties go to the lower
    index. Every parameter keeps its count. Weights that come start at zero, and so does all that the optimizer
    remembers of them (momentum, moments, duals: every tensor of the weight's shape).

    Args:
        fraction: share of the living to move as a function of progress. Default: from 0.3 to 0 along a cosine.
        drop: what makes a living weight worth keeping. Default: absolute value.
        grow: what makes a dead weight worth having: ``Gradient()`` (the default) is RigL, ``Random()`` is SET. A
            criterion that reads weights is refused, for dead weights are all zero.
        structure: what moves together. Default: single weights.
        select: which parameters. Default: every weight matrix and kernel.
        seed: of the generator that random criteria draw from.

    Raises:
        SettingError: ``grow`` cannot tell dead weights apart, or the structure counts in small sets (n:m).
        RunError: gradients are missing, or a group is masked in part.

    It acts between gradients and update, so a weight that comes moves in the same step. Start it from a sparse model,
    for instance by ``Prune(OneShot(0.9), Random(), scope=ErdosRenyi())``, move every hundred steps or so, and stop at
    three quarters of the run: ``Window(0, "0.75dur", frequency=100, unit="step")``. Source: Mocanu et al. 2018
    (arXiv:1707.04780), SET; Evci et al. 2020 (arXiv:1911.11134), section 3, RigL.

    >>> from prunus.actions import Prune
    >>> from prunus.schedules import OneShot
    >>> from prunus.scheduler import CompressionScheduler
    >>> model = torch.nn.Linear(4, 1, bias=False)
    >>> model.weight.data = torch.tensor([[1.0, 2.0, 3.0, 4.0]])
    >>> policies = [Prune(OneShot(0.5)), Rewire(fraction=OneShot(0.5))]
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    >>> scheduler = CompressionScheduler(model, policies, optimizer=optimizer, steps_per_epoch=1, epochs=1)
    >>> scheduler.epoch_begin()
    >>> model.weight.grad = torch.tensor([[0.1, -0.5, 0.0, 0.0]])
    >>> optimizer.step()
    >>> model.weight.data
    tensor([[0.0000, 0.5000, 0.0000, 4.0000]])
    """

    moment: ClassVar[Moment] = Moment.BEFORE
    unit: ClassVar[str] = "step"

    fraction: Schedule = Cosine(final=0.0, initial=0.3)
    drop: Criterion = Magnitude()
    grow: Criterion = Gradient()
    structure: Structure = Element()
    select: Select = Select()
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what could not work before training starts."""
        require_count("seed", self.seed, 0)
        if self.grow.needs_weight:
            raise SettingError(f"grow is {self.grow!r}, which reads weights, and dead weights are all zero; try Random")
        if self.structure.budget:
            raise SettingError(
                f"{self.structure!r} counts in small sets, which moving weights between them would break"
            )

    def bind(self, site: Site) -> Bound:
        """Choose the targets and check that the structure fits each of them."""
        return _Rewiring(self, site.masked(self.select, self.structure), site)


@dataclass(frozen=True)
class _Move:
    """What one target gives up and gains: masks of its shape, and how many groups that is."""

    target: Target
    keep: Tensor
    grown: Tensor
    moved: int


class _Rewiring(Bound):
    """The running side of Rewire: its targets, its generator, how much it moved last."""

    def __init__(self, action: Rewire, chosen: list[Target], site: Site) -> None:
        super().__init__([target.parameter for target in chosen])
        self.action, self.chosen, self.site = action, chosen, site
        self.generator = torch.Generator().manual_seed(action.seed)
        self.moved = 0
        self.warned = False

    @torch.no_grad()
    @one_thread()
    def fire(self, time: int, progress: float) -> None:
        """Move the scheduled fraction in every target, all or none."""
        fraction = self.action.fraction(progress)
        masked = [target for target in self.chosen if target.name in self.site.masks]
        if not masked and not self.warned:
            self.warned = True
            warnings.warn("Rewire moves nothing: nothing is pruned yet, prune before it starts", NoEffect, stacklevel=2)
        moves = [move for target in masked if (move := self._move(target, fraction)) is not None]
        self.site.masks.update({move.target.name: move.keep for move in moves}, regrow=True)
        self.site.masks.apply_()
        for move in moves:
            self._start_at_zero(move)
        self.moved = sum(move.moved for move in moves)

    def metrics(self) -> dict[str, float]:
        """Return how many weights or groups moved at the last firing."""
        return {"rewired": float(self.moved)}

    def state_dict(self) -> dict[str, Any]:
        """Return the random generator's state and the last count."""
        return {"generator": self.generator.get_state(), "moved": self.moved}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what :meth:`state_dict` returned."""
        self.generator.set_state(state["generator"].cpu())
        self.moved = int(state["moved"])

    def _move(self, target: Target, fraction: float) -> _Move | None:
        """Choose what goes and what comes in one target; None when nothing moves."""
        structure = self.action.structure
        alive = alive_groups(target, structure, self.site.masks)
        self._require_whole(target, alive)
        living = count(alive)
        moved = min(pruned_count(fraction, living), alive.numel() - living)
        if not moved:
            return None
        worth = score(target, self.action.drop, structure, self.generator)
        promise = score(target, self.action.grow, structure, self.generator)
        (stays,) = exactly([worth], living - moved, among=[alive])
        (comes,) = exactly([promise], moved, among=[~alive])
        shape = target.canonical(target.parameter).shape
        grown = target.canonical(structure.expand(comes, shape))
        return _Move(target, target.canonical(structure.expand(stays, shape)) | grown, grown, moved)

    def _require_whole(self, target: Target, alive: Tensor) -> None:
        """Refuse groups that are masked in part: moving them would change the count of weights."""
        if self.action.structure.members(target.canonical(target.parameter).shape) == 1:
            return
        whole = self.action.structure.split(target.canonical(self.site.masks[target.name])).all(dim=1)
        if not torch.equal(whole, alive):
            raise RunError(
                f"{int((alive ^ whole).sum())} groups of {target.name} are masked in part: moving them would change "
                f"how many weights there are; prune by {self.action.structure!r} as well"
            )

    def _start_at_zero(self, move: _Move) -> None:
        """Set the weights that come, and all that the optimizer remembers of them, to zero."""
        parameter = move.target.parameter
        memory = self.site.optimizer.state.get(parameter, {}) if self.site.optimizer is not None else {}
        for tensor in (parameter, *memory.values()):
            if isinstance(tensor, Tensor) and tensor.shape == parameter.shape:
                tensor.masked_fill_(move.grown, 0)
