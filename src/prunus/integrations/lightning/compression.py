"""The general callback: Lightning's hooks become the moments of the CompressionScheduler, nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any, ClassVar

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.strategies import DeepSpeedStrategy, FSDPStrategy, ModelParallelStrategy
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor
from torch.optim import Optimizer

from prunus.errors import CheckpointError, RunError, SettingError, require_count
from prunus.integrations._first_process import said_once
from prunus.integrations._gradients import add_gradient_
from prunus.integrations._rates import refuse_others
from prunus.integrations._replaced import say_what_fell
from prunus.integrations._root import part_of
from prunus.integrations.lightning import random_state, run_length
from prunus.integrations.lightning.adoption import take_up
from prunus.integrations.lightning.epoch_figures import EpochFigures
from prunus.integrations.lightning.penalty import scale_of
from prunus.integrations.loop import ResumableLoader
from prunus.recipes.opening import Source, opened
from prunus.scheduler import CompressionScheduler

PREFIXES = ("prunus/", "pruning/", "bregman/")
"""What the figures of this family are logged under; none of them counts as a metric of the run."""
SHARDED = (DeepSpeedStrategy, FSDPStrategy, ModelParallelStrategy)


class Compression(Callback):
    """Compress a LightningModule while it trains: policies fire, masks hold, and a resumed run is bit-identical.

    The callback builds a :class:`prunus.scheduler.CompressionScheduler` when training starts (``callback.scheduler``)
    and passes Lightning's moments on. Penalties of ``Regularize`` enter as gradients once an optimizer step, after
    accumulation and unscaling and before clipping; that equals a penalty in the loss, so ``train_loss`` stays the loss
    you return. It logs ``prunus/sparsity``, ``prunus/lambda``, ... for loggers, progress bar and monitors.

    Resuming needs nothing but ``trainer.fit(model, ckpt_path=...)``: the checkpoint holds masks, steering, λ, counters
    and the random state of every process, all loadable with ``weights_only=True``. In the middle of an epoch it is
    exact with a loader that can be resumed, such as :class:`prunus.integrations.loop.ResumableLoader`. Validation that
    draws random numbers between the checkpoint and the next batch is not repeated by Lightning, so validate with a
    loader that draws none. Averages of the weights that another callback puts in at the end keep to the masks;
    those in its checkpoints do not.

    Args:
        policies: a recipe: policies or bare actions; or the path, text or mapping of a recipe, native or Distiller's;
            or a scheduler made beforehand, of the very optimizer that ``configure_optimizers`` returns.
        root: the attribute of the module that holds the network, such as "net", where the recipe's names shall be
            those that the network has by itself; empty means that they are those of the LightningModule.
        log_every_n_steps: also log after every so many optimizer steps; 0 logs at the end of an epoch only. Each
            logging reads all weights once.
        progress_bar: whether sparsity and λ are shown there.
        verbose: whether one line an epoch goes to Lightning's log.

    Errors: RecipeError, at once, for a recipe that cannot be read. RunError for several optimizers, for strategies that
    shard parameters, for a schedule of the module's beside a recipe that moves the learning rate, and for a checkpoint
    that was written without this callback; CheckpointError for one of other policies; faults of the policies as
    CompressionScheduler.
    The run's length is ``max_epochs``; with ``max_steps`` that end inside an epoch give every window an end.

    >>> from prunus.actions import Prune
    >>> from prunus.schedules import Cubic
    >>> callback = Compression([Prune(Cubic(0.9))])
    >>> trainer = Trainer(callbacks=[callback], max_epochs=3, accelerator="cpu", logger=False)
    >>> callback in trainer.callbacks  # then trainer.fit(module, loader), and to go on: ckpt_path="last"
    True
    """

    prefix: ClassVar[str] = PREFIXES[0]
    """What the figures are logged under."""

    def __init__(
        self,
        policies: Source,
        *,
        root: str = "",
        log_every_n_steps: int = 0,
        progress_bar: bool = True,
        verbose: bool = False,
    ) -> None:
        require_count("log_every_n_steps", log_every_n_steps, 0)
        self.source = opened(policies)
        self.root = root
        self.log_every_n_steps = log_every_n_steps
        self.progress_bar = progress_bar
        self.verbose = verbose
        self.scheduler: CompressionScheduler | None = None
        self._former: CompressionScheduler | None = None
        self._saved: Mapping[str, Any] | None = None
        self._adopted: Mapping[str, Tensor] | None = None
        self._in_epoch = False
        self._logged_step = 0
        self._reached = 0.0
        self._loader: object = None
        self._figures = EpochFigures(PREFIXES)

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Forget the last run, before Lightning hands over the checkpoint of this one."""
        if stage == "fit":
            self._former = self.scheduler or self._former
            self.scheduler, self._saved, self._adopted, self._in_epoch, self._reached = None, None, None, False, 0.0
            self._figures = EpochFigures(PREFIXES)

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Refuse what cannot work; restore the random state for what Lightning draws before the first batch."""
        if len(trainer.optimizers) != 1:
            raise RunError(f"Compression drives one optimizer, configure_optimizers returned {len(trainer.optimizers)}")
        if isinstance(trainer.strategy, SHARDED):
            kind = type(trainer.strategy).__name__
            raise RunError(f"Compression needs whole parameters, {kind} shards them: use strategy='ddp' or one device")
        if self._saved is not None:
            random_state.restore_mine(self._saved["rng"])

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Build the scheduler, now that optimizer and length are known, and take up a saved run."""
        self._loader = trainer.train_dataloader
        self.scheduler = opened(self.plan(trainer, pl_module)).scheduler(
            part_of(pl_module, self.root),
            trainer.optimizers[0],
            steps_per_epoch=run_length.steps_per_epoch(trainer),
            epochs=run_length.epochs(trainer),
        )
        if self._former is not None and self._former is not self.scheduler:
            self._former.detach()  # the optimizer may be the same
        refuse_others(self.scheduler, [config.scheduler for config in trainer.lr_scheduler_configs])
        self._meet_neighbours(trainer, self.scheduler)
        if self._saved is not None:
            self._resume(self._saved)
        elif self._adopted is not None:
            take_up(self.scheduler, self._adopted, trainer)
        elif trainer.global_step > 0:
            raise RunError(
                f"the run stands at step {trainer.global_step} without Compression's state, so masks and counters are "
                "unknown. To compress from these weights on, load them into the module and start a new run"
            )

    def plan(self, trainer: Trainer, pl_module: LightningModule) -> Source:
        """Return the recipe of this run; subclasses make it when the model and the run's length are known."""
        return self.source

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin the epoch, and name it to the loader: with ``max_steps`` Lightning counts one too many on resuming."""
        self._enter(trainer)
        if isinstance(self._loader, ResumableLoader):
            self._loader.set_epoch(self._running.epoch)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Begin the step, and the epoch if Lightning skipped its start, as after a checkpoint on the last batch."""
        self._enter(trainer)
        self._running.step_begin()

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        """Add the gradient of the penalties that are active now."""
        with torch.enable_grad():
            penalty = self._running.penalty()
        if penalty is not None and penalty.requires_grad:
            add_gradient_(penalty, optimizer, scale_of(trainer, optimizer))

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Log after every ``log_every_n_steps`` optimizer steps."""
        step = self._running.step
        if self.log_every_n_steps and step % self.log_every_n_steps == 0 and step != self._logged_step:
            self._logged_step = step
            self._log(pl_module, self._running.metrics(), every_step=True, sync=False)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keep its figures for the end of the epoch, which a checkpoint written now would otherwise come before."""
        if self._in_epoch and not trainer.sanity_checking:
            self._figures.take(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """End the epoch and log its figures, once: Lightning ends an epoch again after resuming at its end."""
        if self._running.epoch > trainer.current_epoch:
            return
        self._enter(trainer)
        theirs = self._figures.take(trainer)
        self._end_epoch(trainer, broken_off=not trainer.is_last_batch)
        row = self._running.history[-1]
        figures = {name: row[name] for name in row if name not in theirs and name not in ("epoch", "step")}
        self._log(pl_module, figures, every_step=False, sync=trainer.world_size > 1)
        if self.verbose:
            shown = ", ".join(f"{name} {value:.4g}" for name, value in figures.items())
            rank_zero_info(f"prunus, epoch {trainer.current_epoch}: {shown}")

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """End the last epoch if Lightning did not, as after a checkpoint on the last batch, and the run if it did."""
        if self._in_epoch:
            self._end_epoch(trainer)
        with said_once(trainer.is_global_zero):
            self._running.finish()

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Enforce the masks once more: a callback that averages weights puts in its average when training ends."""
        if self.scheduler is not None:
            self.scheduler.masks.apply_()
            with said_once(trainer.is_global_zero):
                say_what_fell(self._reached, self.scheduler.sparsity())

    def adopt(self, masks: Mapping[str, Tensor]) -> None:
        """Go on with a run that another program pruned, from these masks; to be called between setup and training."""
        self._adopted = {name.removeprefix(f"{self.root}."): mask for name, mask in masks.items()}

    def state_dict(self) -> dict[str, Any]:
        """Return the run's state for Lightning's checkpoint: plain tensors, numbers and strings."""
        if self.scheduler is None:
            return dict(self._saved or {})
        return {
            "scheduler": self.scheduler.state_dict(),
            "in_epoch": self._in_epoch,
            "figures": dict(self._figures.kept),
            "rng": random_state.capture_all(),
            "loader": self._loader.state_dict() if isinstance(self._loader, ResumableLoader) else None,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Keep a checkpoint's state until the scheduler exists; Lightning calls this before the optimizer does."""
        if state_dict and not {"scheduler", "in_epoch", "rng"} <= set(state_dict):
            raise CheckpointError(f"the checkpoint's state of Compression is damaged: it holds {sorted(state_dict)}")
        self._saved = state_dict or None

    @property
    def _running(self) -> CompressionScheduler:
        if self.scheduler is None:
            raise RunError("Compression has no scheduler yet: it is built when training starts")
        return self.scheduler

    def _meet_neighbours(self, trainer: Trainer, mine: CompressionScheduler) -> None:
        """Tell the schedulers of one optimizer of each other's masks; the callback that starts last tells all."""
        for other in trainer.callbacks:  # type: ignore[attr-defined]
            if isinstance(other, Compression) and other is not self and other.scheduler is not None:
                mine.neighbours.append(other.scheduler.masks)
                other.scheduler.neighbours.append(mine.masks)

    def _resume(self, saved: Mapping[str, Any]) -> None:
        """Take up a saved run; the random state a second time only inside an epoch, at its start it is already moving.

        The loader's position is given again because Lightning forgets it whenever it asked for the data before it read
        the checkpoint, as ``trainer.estimated_stepping_batches`` in ``configure_optimizers`` makes it do.
        """
        self._running.load_state_dict(saved["scheduler"])
        self._in_epoch = saved["in_epoch"]
        self._figures.kept = dict(saved.get("figures", {}))
        self._logged_step = self._running.step
        if isinstance(self._loader, ResumableLoader) and saved.get("loader") is not None:
            self._loader.load_state_dict(saved["loader"])
        if self._in_epoch:
            random_state.restore_mine(saved["rng"])
        self._saved = None

    def _enter(self, trainer: Trainer) -> None:
        """Make the trainer's epoch the scheduler's, ending one whose end Lightning skipped."""
        while self._running.epoch < trainer.current_epoch:
            self._end_epoch(trainer)
        if not self._in_epoch:
            self._loader = trainer.train_dataloader
            self._running.epoch_begin(trainer.current_epoch)
            self._in_epoch = True
            self._refuse_clashes(trainer)

    def _end_epoch(self, trainer: Trainer, *, broken_off: bool = False) -> None:
        with said_once(trainer.is_global_zero):
            self._running.epoch_end(self._figures.kept, broken_off=broken_off)
        self._reached = self._running.sparsity()
        self._in_epoch = False
        self._figures.clear(trainer)

    def _refuse_clashes(self, trainer: Trainer) -> None:
        """Refuse two callbacks that move the same thing at once; the one that begins last knows all windows."""
        others = [one.scheduler for one in trainer.callbacks if isinstance(one, Compression) and one is not self]  # type: ignore[attr-defined]
        theirs = [policy for other in others if other is not None for policy in other.policies]
        for mine, other in product(self._running.policies, theirs):
            if other.span is not None and mine.clashes(other):
                names = f"{mine.policy.name}; {other.policy.name}"
                raise SettingError(f"two callbacks move {mine.policy.action.claims}: {names}")

    def _log(self, module: LightningModule, figures: Mapping[str, float], *, every_step: bool, sync: bool) -> None:
        for name, value in figures.items():
            shown = self.progress_bar and name in ("sparsity", "lambda")
            label = f"{self.prefix}{name}"
            module.log(label, value, prog_bar=shown, on_step=every_step, on_epoch=not every_step, sync_dist=sync)
