"""The callback for Trainer: its events become the moments of the CompressionScheduler, nothing else."""

from __future__ import annotations

from typing import Any

import torch
from accelerate.optimizer import AcceleratedOptimizer
from torch import nn
from torch.optim import Optimizer
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from prunus.errors import RunError
from prunus.integrations._first_process import said_once
from prunus.integrations._gradients import add_gradient_
from prunus.integrations._rates import moved_by
from prunus.integrations._replaced import say_what_fell
from prunus.integrations._root import part_of
from prunus.integrations.transformers import files, rates, run_length
from prunus.integrations.transformers.figures import figures_of
from prunus.recipes.opening import Source, opened
from prunus.scheduler import CompressionScheduler


class Compression(TrainerCallback):  # type: ignore[misc]  # transformers is Any to the type checker
    """Compress a model while Hugging Face's ``Trainer`` trains it: policies fire, masks hold, runs resume to the bit.

    The callback builds a :class:`prunus.scheduler.CompressionScheduler` when training starts (``callback.scheduler``)
    and passes Trainer's events on; pruning and masks hang on the optimizer's own hooks. A step is an optimizer step,
    whatever ``gradient_accumulation_steps`` is. Every step starts from the gradient of the active penalties, on which
    the batches accumulate: clipped with them, as if the penalty were in the loss, and the logged loss stays the loss.

    A row of figures an epoch goes to ``trainer.state.log_history``, as ``prunus/sparsity`` and so on. What an
    evaluation finds is told to the policies at the end of the epoch, as ``eval_accuracy`` and as ``accuracy``; of
    several evaluation sets the first ends the epoch. Weights are zero in place and keep their names, so
    ``save_pretrained`` and checkpoints hold them pruned. Where the recipe moves the learning rate, it alone does.

    Each checkpoint of Trainer's gets a file ``prunus.ckpt``, written whole or not at all, and
    ``trainer.train(resume_from_checkpoint=...)`` goes on from there. An evaluation that was due between the checkpoint
    and the end of its epoch is not repeated by Trainer. With ``load_best_model_at_end`` the best model may be one from
    before the sparsity was reached.

    Args:
        policies: a recipe: policies or bare actions; or the path, text or mapping of a recipe, native or Distiller's;
            or a scheduler made beforehand, of the very optimizer in ``Trainer(optimizers=(optimizer, None))``.
        root: the attribute of the model that holds the network whose names the recipe uses; empty is the model itself.

    Errors: RecipeError, at once, for a recipe that cannot be read. RunError under FSDP and DeepSpeed, which shard
    parameters, and where ReduceLROnPlateau and the recipe both move the learning rate. CheckpointError for a checkpoint
    without our file or of other policies.

    >>> from prunus.actions import Prune
    >>> from prunus.schedules import Cubic
    >>> callback = Compression([Prune(Cubic(0.9))])  # then Trainer(model, args, callbacks=[callback], ...).train()
    >>> callback.scheduler is None
    True
    """

    def __init__(self, policies: Source, *, root: str = "") -> None:
        self.source, self.root = opened(policies), root
        self.scheduler: CompressionScheduler | None = None
        self._in_epoch = self._awaits_figures = self._moves_rates = False
        self._figures: dict[str, float] = {}
        self._rates: list[float] = []
        self._reached = 0.0

    def on_train_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        *,
        model: nn.Module,
        optimizer: Optimizer,
        lr_scheduler: Any = None,
        train_dataloader: Any = None,
        **_: Any,
    ) -> None:
        """Build the scheduler, now that optimizer and length are known, and take up a saved run."""
        if args.fsdp or args.deepspeed:
            raise RunError("Compression needs whole parameters, FSDP and DeepSpeed shard them: use DDP or one device")
        saved = files.load(args, state) if state.global_step else None
        former = self.scheduler
        self._in_epoch, self._awaits_figures, self._figures, self._reached = False, False, {}, 0.0
        now, plain = rates.read(optimizer), _unwrapped(optimizer)
        rates.set_(plain, rates.bases(plain))
        steps = run_length.steps_per_epoch(args, train_dataloader)
        length = {"steps_per_epoch": steps, "epochs": run_length.epochs(state, steps)}
        self.scheduler = self.source.scheduler(part_of(model, self.root), plain, **length)
        if former is not None and former is not self.scheduler:
            former.detach()  # Trainer keeps its optimizer
        self._moves_rates = moved_by(self.scheduler)
        if self._moves_rates:
            rates.say_whose(args, lr_scheduler)
        if saved is not None or not self._moves_rates:
            rates.set_(plain, now)
        if saved is not None:
            self._resume(saved, state)

    def on_epoch_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Begin the epoch, unless a resumed run stands inside it; the last one may have waited in vain."""
        if self._awaits_figures:
            self._end_epoch(state)
        if not self._in_epoch:
            self._running.epoch_begin()
            self._in_epoch = True

    def on_step_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        *,
        optimizer: Optimizer,
        **_: Any,
    ) -> None:
        """Begin the step, and let its gradients start from that of the penalties."""
        self._running.step_begin()
        with torch.enable_grad():
            penalty = self._running.penalty()
        if penalty is not None and penalty.requires_grad:
            add_gradient_(penalty, _unwrapped(optimizer), _scale(optimizer))

    def on_optimizer_step(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        *,
        optimizer: Optimizer,
        **_: Any,
    ) -> None:
        """Remember the recipe's learning rates, which Trainer's own schedule sets anew right after this."""
        self._rates = rates.read(optimizer) if self._moves_rates else []

    def on_step_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        *,
        optimizer: Optimizer,
        **_: Any,
    ) -> None:
        """Put the recipe's learning rates back."""
        rates.set_(optimizer, self._rates)

    def on_epoch_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """End the epoch, or wait for the evaluation that comes first: a checkpoint comes after both."""
        self._awaits_figures = control.should_evaluate
        if not self._awaits_figures:
            self._end_epoch(state)

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        """Keep the figures for the end of the epoch, which may have waited for them."""
        self._figures |= figures_of(metrics or {})
        if self._awaits_figures:
            self._end_epoch(state)

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """End the last epoch if its evaluation never came, and the run if Trainer stopped it before its time."""
        if self._in_epoch:
            self._end_epoch(state)
        with said_once(state.is_world_process_zero):
            self._running.finish()
            say_what_fell(self._reached, self._running.sparsity())

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Write the scheduler's state beside the checkpoint."""
        scheduler = self._running.state_dict()
        files.save(args, state, {"scheduler": scheduler, "in_epoch": self._in_epoch, "figures": dict(self._figures)})

    @property
    def _running(self) -> CompressionScheduler:
        if self.scheduler is None:
            raise RunError("Compression has no scheduler yet: it is built when training starts")
        return self.scheduler

    def _resume(self, saved: dict[str, Any], state: TrainerState) -> None:
        """Take up a saved run; an epoch whose last step came right before the checkpoint is over to Trainer."""
        self._running.load_state_dict(saved["scheduler"])
        self._in_epoch, self._figures = saved["in_epoch"], dict(saved["figures"])
        steps = self._running.steps_per_epoch
        if self._in_epoch and steps and state.global_step % steps == 0:
            self._end_epoch(state)

    def _end_epoch(self, state: TrainerState) -> None:
        broken_off = self._running.steps_per_epoch is not None and state.epoch % 1 != 0  # its length is a whole 1
        with said_once(state.is_world_process_zero):
            self._running.epoch_end(self._figures, broken_off=broken_off)
        self._reached = self._running.sparsity()
        row, known = self._running.history[-1], {*self._figures, "epoch", "step"}
        figures = {f"prunus/{name}": value for name, value in row.items() if name not in known}
        state.log_history.append({**figures, "epoch": state.epoch, "step": state.global_step})
        self._in_epoch, self._awaits_figures, self._figures = False, False, {}


def _unwrapped(optimizer: Optimizer) -> Optimizer:
    """The optimizer whose hooks are called; Trainer hands out Accelerate's wrapper of it."""
    while isinstance(optimizer, AcceleratedOptimizer):
        optimizer = optimizer.optimizer
    return optimizer


def _scale(optimizer: Optimizer) -> float:
    """The loss scale that the gradients of this step will carry."""
    scaler = getattr(optimizer, "scaler", None)
    return 1.0 if scaler is None else float(scaler.get_scale())
