"""Set the least important weights to zero and keep them there."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor

from prunus.actions.base import Action, Bound, Moment, Site
from prunus.criteria import Criterion, Magnitude
from prunus.errors import LayerCollapse, RunError, SettingError, StructureError, require_count
from prunus.keep import pruned_count
from prunus.schedules import Schedule
from prunus.scopes import Global, Scope
from prunus.select import Select, Target, require_in_optimizer, targets
from prunus.structures import Element, Structure


@dataclass(frozen=True)
class Prune(Action):
    r"""Prune to a scheduled sparsity: criterion × structure × scope × schedule.

    At progress p of the window, of n members (weights, or groups of ``structure``) exactly ⌊schedule(p)·n⌋ are
    pruned: those with the lowest ``criterion`` score among the living, counted over the pools of ``scope``; ties go
    to the earlier parameter and the lower index. Masks only tighten. Where more is already pruned than asked,
    nothing changes. A layer that loses its last weight is reported as LayerCollapse.

    Args:
        schedule: sparsity in [0, 1] as a function of progress; it must not fall.
        criterion: what makes a weight worth keeping. Default: absolute value.
        structure: what is pruned together. Default: single weights.
        scope: how the sparsity is shared among parameters. Default: one ranking over all.
        select: which parameters. Default: every weight matrix and kernel.
        seed: of the generator that random criteria draw from.

    With a window in epochs it acts at the begin of an epoch; in steps, between gradients and update. Source:
    Han et al. 2015 (magnitude); Zhu and Gupta 2017 (gradual, with ``Cubic``).

    >>> from prunus.schedules import OneShot
    >>> from prunus.scheduler import CompressionScheduler
    >>> from prunus.measure import sparsity
    >>> model = torch.nn.Linear(10, 10)
    >>> scheduler = CompressionScheduler(model, [Prune(OneShot(0.9))], epochs=1)
    >>> scheduler.epoch_begin()
    >>> sparsity(model)
    0.9
    """

    moment: ClassVar[Moment] = Moment.BEFORE

    schedule: Schedule
    criterion: Criterion = Magnitude()
    structure: Structure = Element()
    scope: Scope = Global()
    select: Select = Select()
    seed: int = 0

    def __post_init__(self) -> None:
        """Masks only tighten, so a schedule that falls could not be followed."""
        require_count("seed", self.seed, 0)
        if not self.schedule.monotone:
            raise SettingError(f"{self.schedule!r} falls, but masks only tighten; pruning needs a schedule that rises")

    def bind(self, site: Site) -> Bound:
        """Choose the targets and check that the structure fits each of them."""
        chosen = targets(site.model, self.select)
        for target in chosen:
            _require_fit(target, self.structure)
        if site.optimizer is not None:
            require_in_optimizer(chosen, site.optimizer)
        site.masks.include(chosen)
        return _Pruning(self, chosen, site)


@dataclass
class _Counts:
    """What was asked and what came out at the last firing, in members of the structure."""

    asked: int = 0
    achieved: int = 0
    total: int = 0
    asked_sparsity: float = 0.0


@dataclass(eq=False)
class _Pruning(Bound):
    """The running side of Prune: its targets, its generator, its last counts."""

    action: Prune
    chosen: list[Target]
    site: Site
    counts: _Counts = field(default_factory=_Counts)

    def __post_init__(self) -> None:
        super().__init__([target.parameter for target in self.chosen])
        self.generator = torch.Generator().manual_seed(self.action.seed)

    @torch.no_grad()
    def fire(self, time: int, progress: float) -> None:
        """Prune to the scheduled sparsity and report what was asked and what came out."""
        level = self.action.schedule(progress)
        alive = [self._alive(target) for target in self.chosen]
        scores = [self._score(target) for target in self.chosen]
        keep = self.action.scope.select(scores, level, among=alive)
        if any(bool((was & ~stays).any()) for was, stays in zip(alive, keep, strict=True)):
            self.site.masks.update(dict(map(self._mask, self.chosen, keep)))
            self.site.masks.apply_()
        self._report(level, keep)

    def metrics(self) -> dict[str, float]:
        """Return the sparsity last asked for and the one achieved, in members of the structure."""
        achieved = self.counts.achieved / max(1, self.counts.total)
        return {"asked_sparsity": self.counts.asked_sparsity, "achieved_sparsity": achieved}

    def state_dict(self) -> dict[str, Any]:
        """Return the generator's state and the last counts."""
        return {"generator": self.generator.get_state(), "counts": dict(vars(self.counts))}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what :meth:`state_dict` returned."""
        self.generator.set_state(state["generator"].cpu())
        self.counts = _Counts(**state["counts"])

    def _alive(self, target: Target) -> Tensor:
        """One flag a group: is any of its weights not masked?"""
        flags = target.canonical(self.site.masks[target.name])
        return self.action.structure.split(flags).any(dim=1)

    def _score(self, target: Target) -> Tensor:
        gradient = target.parameter.grad
        if self.action.criterion.needs_gradient and gradient is None:
            raise RunError(
                f"{self.action.criterion!r} needs gradients, and {target.name} has none: use a window in steps"
            )
        weight = target.canonical(target.parameter.detach())
        oriented = None if gradient is None else target.canonical(gradient)
        return self.action.criterion.score(weight, self.action.structure, gradient=oriented, generator=self.generator)

    def _mask(self, target: Target, keep: Tensor) -> tuple[str, Tensor]:
        """The mask of the target's shape: groups that stay, less what was masked inside them before."""
        shape = target.canonical(target.parameter).shape
        return target.name, target.canonical(self.action.structure.expand(keep, shape)) & self.site.masks[target.name]

    def _report(self, level: float, keep: list[Tensor]) -> None:
        kept, total = sum(int(flags.count_nonzero()) for flags in keep), sum(flags.numel() for flags in keep)
        self.counts = _Counts(pruned_count(level, total), total - kept, total, level)
        pairs = zip(self.chosen, keep, strict=True)
        # Where the layer itself is the group, losing it is what was asked.
        gone = [target.name for target, flags in pairs if flags.numel() > 1 and not flags.any()]
        if gone and level < 1.0:
            warnings.warn(
                f"nothing is left of {', '.join(gone)} at sparsity {level:.4f}, so the model cannot learn; "
                "use the per-layer scope or exclude the layer",
                LayerCollapse,
                stacklevel=2,
            )


def _require_fit(target: Target, structure: Structure) -> None:
    """Raise StructureError, naming the parameter, when the structure cannot split it."""
    shape = target.canonical(target.parameter).shape
    reason = structure.misfit(shape)
    grouped = target.transposed and getattr(target.module, "groups", 1) > 1
    if grouped and structure.members(shape) not in (1, shape.numel()):
        reason = "in a grouped transposed convolution one slice spans several output channels"
    if reason:
        raise StructureError(f"{structure!r} does not fit {target.name} of shape {list(shape)}: {reason}")
