"""Set the least important weights to zero and keep them there."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor

from prunus._groups import alive_groups, score, single_weights
from prunus._pieces import CHUNK, count, gathered, one_thread
from prunus.actions._counts import Counts, require_rise, require_same
from prunus.actions.base import Action, Bound, Moment, Site
from prunus.criteria import Criterion, Magnitude
from prunus.errors import LayerCollapse, NoEffect, SettingError, require_count
from prunus.keep import exactly_along, exactly_in_rows, pruned_count
from prunus.schedules import Schedule
from prunus.scopes import Global, Scope
from prunus.select import Select, Target, explain
from prunus.select.assignment import shown
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
        scope: how the sparsity is shared among parameters. Default: one ranking over all. Of no effect where the
            structure itself counts in small sets (n:m): then every set loses ⌊schedule(p)·m⌋.
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
        """Refuse schedules that fall, for masks only tighten, and parts that contradict each other."""
        require_count("seed", self.seed, 0)
        if not self.schedule.monotone:
            raise SettingError(f"{self.schedule!r} falls, but masks only tighten; pruning needs a schedule that rises")
        goal, final = self.structure.level, self.schedule.final
        if goal is not None and not math.isclose(goal, final):
            raise SettingError(f"{self.schedule!r} ends at {final:g}, but {self.structure!r} is sparsity {goal:g}")
        if self.structure.budget and self.scope.needs_shapes:
            raise SettingError(f"{self.structure!r} fixes the density of every layer, which {self.scope!r} would set")

    def bind(self, site: Site) -> Bound:
        """Choose the targets and check that the structure fits each of them."""
        return _Pruning(self, site.masked(self.select, self.structure), site)


@dataclass(eq=False)
class _Pruning(Bound):
    """The running side of Prune: its targets, its generator, its last counts."""

    action: Prune
    chosen: list[Target]
    site: Site
    counts: Counts = field(default_factory=Counts)
    gone: set[str] = field(default_factory=set)  # parameters whose end was told

    def __post_init__(self) -> None:
        super().__init__([target.parameter for target in self.chosen])
        self.generator = torch.Generator().manual_seed(self.action.seed)

    @torch.no_grad()
    @one_thread()
    def fire(self, time: int, progress: float) -> None:
        """Prune to the scheduled sparsity and report what was asked and what came out."""
        level = self.action.schedule(progress)
        if self.action.structure.budget:
            self._prune_in_sets(level, self.action.structure.budget)
        else:
            self._prune_by_scope(level)

    def _prune_by_scope(self, level: float) -> None:
        """Let the groups of all targets compete as the scope says."""
        structure, masks = self.action.structure, self.site.masks
        fresh = not any(target.name in masks for target in self.chosen)
        alive = None if fresh else [alive_groups(target, structure, masks) for target in self.chosen]
        scores, absolute = self._scores()
        shapes = [target.canonical(target.parameter).shape for target in self.chosen]
        keep = self.action.scope.select(scores, level, among=alive, shapes=shapes, absolute=absolute)
        kept, sizes = [_true(flags) for flags in keep], [flags.numel() for flags in keep]
        if sum(kept) < (sum(sizes) if alive is None else sum(map(_true, alive))):
            masks.prune_groups(structure, {target.name: k for target, k in zip(self.chosen, keep, strict=True)})
        self._report(level, kept, sizes)

    def _scores(self) -> tuple[list[Tensor], bool]:
        """Return one score a group, or single weights and True: ranked by size, they need no memory of their own."""
        criterion, structure = self.action.criterion, self.action.structure
        if criterion.absolute:
            weights = [single for target in self.chosen if (single := single_weights(target, structure)) is not None]
            if len(weights) == len(self.chosen):
                return weights, True
        return [score(target, criterion, structure, self.generator) for target in self.chosen], False

    def _prune_in_sets(self, level: float, budget: int) -> None:
        """Keep the best of each small set, whatever the scope."""
        stay = budget - pruned_count(level, budget)
        masks = {target.name: self._mask_in_sets(target, stay, budget) for target in self.chosen}
        kept, sizes = [_true(mask) for mask in masks.values()], [mask.numel() for mask in masks.values()]
        if sum(kept) < sum(sizes):
            self.site.masks.tighten(masks)
            self.site.masks.apply_()
        self._report(level, kept, sizes)

    def _mask_in_sets(self, target: Target, stay: int, budget: int) -> Tensor:
        """Return the mask in which ``stay`` of each set live; fewer where fewer were alive."""
        masks, weight = self.site.masks, target.canonical(target.parameter.detach())
        flags = target.canonical(masks.flags(target.name)) if target.name in masks else None
        mask = torch.empty_like(target.parameter, dtype=torch.bool)
        absolute = self.action.criterion.absolute
        if not (absolute and exactly_along(target.canonical(mask), weight, stay, budget, flags)):
            self._rank_sets(target, target.canonical(mask), stay, budget)
        return mask

    def _rank_sets(self, target: Target, mask: Tensor, stay: int, budget: int) -> None:
        """Write the mask a piece at a time, which stays in the cache."""
        structure, criterion, masks = self.action.structure, self.action.criterion, self.site.masks
        alive = target.canonical(masks[target.name]) if target.name in masks else None
        rows = max(1, CHUNK * len(mask) // max(1, mask.numel())) if criterion.local else max(1, len(mask))
        for start in range(0, len(mask), rows):
            part = slice(start, start + rows)
            sets = score(target, criterion, structure, self.generator, part).view(-1, budget)
            among = None if alive is None else structure.split(alive[part]).reshape(-1, budget)
            kept = exactly_in_rows(sets, stay, among=among)
            mask[part] = structure.join(kept.view(-1, 1), mask[part].shape)

    def finish(self) -> None:
        """Warn NoEffect about parameters that were frozen when the targets were chosen and have been unfrozen since."""
        names = {target.name for target in self.chosen}
        now = [choice.target for choice in explain(self.site.walk, self.action.select) if choice.chosen]
        late = [one.name for one in now if one.name not in names and self.site.trains(one.parameter)]
        if late:
            text = f"{shown(late)}: frozen when the scheduler was built, trained since and never pruned; build it later"
            warnings.warn(text, NoEffect, stacklevel=2)

    def missed(self) -> str:
        """Return the sparsity that was asked for last, where the schedule goes on to another."""
        asked, final = self.counts.asked_sparsity, self.action.schedule.final
        return "" if math.isclose(asked, final) else f"sparsity {asked:.4g} of {final:.4g}"

    def metrics(self) -> dict[str, float]:
        """Return the sparsity last asked for and the one achieved, in members of the structure."""
        achieved = self.counts.achieved / max(1, self.counts.total)
        return {"asked_sparsity": self.counts.asked_sparsity, "achieved_sparsity": achieved}

    def state_dict(self) -> dict[str, Any]:
        """Return the generator's state, the last counts, and what they are counts of."""
        return {
            "generator": self.generator.get_state(),
            "counts": dict(vars(self.counts)),
            "final": self.action.schedule.final,
            "structure": repr(self.action.structure),
            "targets": [target.name for target in self.chosen],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what :meth:`state_dict` returned; criterion, scope, schedule and window may have changed.

        Errors: CheckpointError for counts of another structure or of other targets; SparsityDecreaseError when the
        schedule ends lower than it did, below what is pruned already.
        """
        require_same(state, self.state_dict())
        require_rise(Counts(**state["counts"]), state["final"], self.action.schedule.final)
        self.generator.set_state(state["generator"].cpu())
        self.counts = Counts(**state["counts"])

    def _report(self, level: float, kept: list[int], sizes: list[int]) -> None:
        total = sum(sizes)
        self.counts = Counts(pruned_count(level, total), total - sum(kept), total, level)
        # Where the layer itself is the group, losing it is what was asked.
        trios = zip(self.chosen, kept, sizes, strict=True)
        gone = [t.name for t, count, size in trios if size > 1 and not count and t.name not in self.gone]
        if gone and level < 1.0:
            self.gone.update(gone)
            warnings.warn(
                f"nothing is left of {', '.join(gone)} at sparsity {level:.4f}, so the model cannot learn; "
                "use the per-layer scope or exclude the layer",
                LayerCollapse,
                stacklevel=2,
            )


def _true(flags: Tensor) -> int:
    return count(gathered(flags))
