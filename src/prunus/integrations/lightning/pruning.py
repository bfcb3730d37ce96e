"""What the pruning callbacks share: trackers wait for the target, sparsity never falls, masks end as plain zeros."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_info

from prunus.actions import Action, Moment, Prune
from prunus.errors import SparsityDecreaseError, require_count
from prunus.integrations.lightning.arguments import Amounts, require_bool
from prunus.integrations.lightning.compression import PREFIXES, Compression
from prunus.integrations.lightning.pruning_fn import PruningFunction
from prunus.integrations.lightning.trackers import Trackers
from prunus.policy import Policy, RunningPolicy
from prunus.select import ParameterManager, Selection

SHOWN = {"asked_sparsity": "amount", "achieved_sparsity": "achieved"}
ROUNDING = 1e-9
FOREIGN = 0.01
"""How far masks of another program, which rounds and pools its own way, may lie above the goal."""


class PruningCallback(Compression):
    """Base of the pruning callbacks: a Compression whose policies are made from torch's pruning arguments.

    Subclasses write ``make``. The base chooses the parameters, holds trackers back during the ramp, refuses a sparsity
    that would fall, logs ``pruning/sparsity`` and ``pruning/amount``, and takes the masks away in the end.

    >>> issubclass(PruningCallback, Compression), PruningCallback.prefix
    (True, 'pruning/')
    """

    prefix: ClassVar[str] = PREFIXES[1]

    def __init__(
        self,
        function: PruningFunction,
        amounts: Amounts,
        manager: ParameterManager,
        *,
        make_pruning_permanent: bool,
        hold_trackers: bool,
        verbose: int,
        seed: int,
    ) -> None:
        require_bool("make_pruning_permanent", make_pruning_permanent)
        require_bool("hold_trackers", hold_trackers)
        require_count("seed", seed, 0)
        require_count("verbose", int(verbose) if isinstance(verbose, bool) else verbose, 0)
        super().__init__([], verbose=verbose >= 1)
        self.function, self.amounts, self.manager = function, amounts, manager
        self.make_pruning_permanent = make_pruning_permanent
        self.hold_trackers = hold_trackers
        self.talkative = verbose >= 2
        self.seed = seed
        self.selection: Selection | None = None
        self._trackers = Trackers()

    def make(self, trainer: Trainer, selection: Selection) -> list[Policy]:
        """Return the policies of this run."""
        raise NotImplementedError

    def plan(self, trainer: Trainer, pl_module: LightningModule) -> Sequence[Policy | Action]:
        """Choose the parameters, say which, and make the policies."""
        self.selection = self.manager.collect(pl_module)
        if self.talkative:
            rank_zero_info(f"pruning by {self.function.name}:\n{self.selection}")
        elif self.verbose:
            count = f"{len(self.selection.chosen)} of {len(self.selection.choices)}"
            rank_zero_info(f"pruning by {self.function.name}: {count} parameters; verbose=2 lists them")
        return self.make(trainer, self.selection)

    @property
    def target_reached(self) -> bool:
        """Whether every cut of the ramp has been made."""
        return self.scheduler is not None and all(map(self._is_over, self.scheduler.policies))

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Forget the last run."""
        super().setup(trainer, pl_module, stage)
        if stage == "fit":
            self._trackers = Trackers()

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Hold the trackers back before any of them has seen a metric."""
        super().on_fit_start(trainer, pl_module)
        if self.hold_trackers:
            self._trackers.hold(trainer)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Build the scheduler; on resuming, refuse a goal below what is pruned already."""
        super().on_train_start(trainer, pl_module)
        for policy in self._running.policies:
            self._refuse_decrease(policy, final=True)
        self._trackers.watch(trainer, self.target_reached)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Prune where a cut is due."""
        super().on_train_epoch_start(trainer, pl_module)
        self._after_firing(trainer)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Take note of the cuts made between gradients and update."""
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)
        self._after_firing(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """End the epoch, log its figures, and take note of a cut at its end."""
        super().on_train_epoch_end(trainer, pl_module)
        self._after_firing(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leave plain zeros behind: the masks are no longer enforced."""
        super().on_train_end(trainer, pl_module)
        if self.make_pruning_permanent:
            self._running.detach()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Leave the trackers as they were found."""
        self._trackers.let_go(trainer)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Leave the trackers as they were found."""
        if stage == "fit":
            self._trackers.let_go(trainer)

    def _resume(self, saved: Mapping[str, Any]) -> None:
        try:
            super()._resume(saved)
        except SparsityDecreaseError as fall:
            raise SparsityDecreaseError(f"{fall} (applied amount {self.amounts.final})") from fall

    def _is_over(self, policy: RunningPolicy) -> bool:
        """Compare places, not firings: a run that goes on from foreign masks has not fired what they stand for."""
        if policy.span is None:  # nothing has begun
            return False
        last, scheduler = policy.span.firings()[-1], self._running
        if policy.window.unit == "step":
            return scheduler.step > last
        begun = self._in_epoch and policy.policy.action.moment is Moment.BEFORE
        return scheduler.epoch >= last + (0 if begun else 1)

    def _after_firing(self, trainer: Trainer) -> None:
        for policy in self._running.policies:
            self._refuse_decrease(policy)
        self._trackers.watch(trainer, self.target_reached)

    def _refuse_decrease(self, policy: RunningPolicy, *, final: bool = False) -> None:
        """Compare what is masked with what was asked for, never with a rounded target of the epoch before.

        Masks of another program stay while the ramp is below them, so they are compared with its goal alone.
        """
        foreign = self._adopted is not None
        figures = policy.bound.metrics()
        old, asked = figures.get("achieved_sparsity", 0.0), figures.get("asked_sparsity", 0.0)
        if (final or foreign) and isinstance(policy.policy.action, Prune):
            asked = policy.policy.action.schedule.final
        if old > asked + (FOREIGN if foreign else ROUNDING):
            raise SparsityDecreaseError(
                f"sparsity would fall: old {old:.4f}, new {asked:.4f} (applied amount {self.amounts.final}). Pruned "
                "weights do not come back; ask for at least the old sparsity, or start from dense weights"
            )

    def _log(self, module: LightningModule, figures: Mapping[str, float], *, every_step: bool, sync: bool) -> None:
        named = {SHOWN.get(name, name): value for name, value in figures.items()}
        super()._log(module, named, every_step=every_step, sync=sync)
