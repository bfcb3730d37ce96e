"""BregmanPruner: sparse training by a Bregman optimizer whose λ is steered, or by a steered penalty in the loss."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from typing import Any, ClassVar

from lightning.pytorch import LightningModule, Trainer
from torch import Tensor, nn
from torch.optim import Optimizer

from prunus._echo import Echo, to_stdout
from prunus.actions import Action, Regularize, Steer
from prunus.errors import NoEffect, RunError, require_count
from prunus.integrations.lightning import bregman_start
from prunus.integrations.lightning.adoption import TorchMasks
from prunus.integrations.lightning.arguments import refuse_unknown
from prunus.integrations.lightning.bregman_lines import Report
from prunus.integrations.lightning.bregman_modes import Penalty, Proximal, mode_for, mode_of
from prunus.integrations.lightning.compression import PREFIXES, Compression
from prunus.measure import sparsity
from prunus.optim import BregmanOptimizer
from prunus.policy import Policy
from prunus.regularizers.base import zero_value
from prunus.select import explain
from prunus.steering import FeedbackLoop, Steering

ADVICE = "add pruner.get_regularization_loss(self) to the loss in training_step"


class BregmanPruner(Compression):
    r"""Train a LightningModule sparse, in one of two modes that are told apart by their arguments.

    *Proximal mode*, for the optimizers of :mod:`prunus.optim`: the optimizer makes the zeros. The callback lets a new
    run start sparse when the module has a ``pruning_manager`` (:class:`prunus.select.PruningManager`), gives λ to the
    groups before the first step and lets ``lambda_scheduler`` move it after every optimizer step.

    *Penalty mode*, for any other optimizer: ``training_step`` adds ``get_regularization_loss(self)`` to its loss, and λ
    follows the sparsity s after every ``update_frequency`` optimizer steps:

    .. math:: \text{loss} + \lambda \sum |w|, \qquad
              \lambda \leftarrow \mathrm{clip}(\lambda + r\,(s^* - s),\ 10^{-4},\ 100)

    A penalty pulls weights towards zero and leaves next to none exactly there, so something else has to make the zeros:
    :class:`SafeModelPruning` in the same trainer, or torch's own pruning. In both modes s is the share of exact zeros,
    natural or masked, by prunus.measure; masks of the other callbacks of prunus and of torch.nn.utils.prune are seen.
    Micro-batches of an accumulated gradient do not count as steps. All ranks of a distributed run have the same λ.

    Without any argument of a mode: proximal with the λ of the groups left alone where the optimizer is one of
    prunus.optim, an error elsewhere. All arguments go by name.

    Args:
        sparsity_threshold: proximal; from 0 to 1e-12, which all count exact zeros.
        collect_metrics: proximal; whether figures are logged, every ``trainer.log_every_n_steps`` steps and each epoch.
        lambda_scheduler: proximal; a member of prunus.steering (``LambdaScheduler``, ``SparsityBudget`` …) or a partial
            that makes one, as Hydra's ``_partial_`` does. None leaves λ where the groups have it.
        target_sparsity: penalty; s*, 0.8; a list gives one each epoch, the last one holds.
        initial_lambda: penalty; λ of the first loss, 1.0.
        lambda_update_rate: penalty; r, 0.001.
        update_frequency: penalty; optimizer steps between updates of λ, 100.
        parameters_to_prune: penalty; names or (module, name) pairs. Default: the weights of all prunable layers.
        verbose: 0 is silent; 1 writes a line an epoch and, in penalty mode, two for every update of λ; 2 adds a line
            for each parameter and, in proximal mode, each group. Default: 1 in proximal, 0 in penalty mode.
        echo: takes each of these lines, on rank 0 only. Default: standard output.

    It logs ``bregman/sparsity`` (of what is regularized), ``bregman/total_model_sparsity`` (of all weight matrices and
    kernels), ``bregman/global_lambda``, ``bregman/target_sparsity``; in proximal mode also ``bregman/lambda_<group>``,
    in penalty mode ``bregman/lambda``. λ, counters and the last reading are in the checkpoint: ``ckpt_path=`` resumes
    with the same bits. Settings in the checkpoint win over changed ones, which a NoEffect warning names.

    Errors: SettingError for arguments of both modes, unknown ones (with the nearest), and an optimizer of the other
    mode; otherwise as ``Compression``. NoEffect warns when λ stops at a bound and when nobody asks for the penalty.
    Use the proximal mode to train from scratch; the penalty mode beside a pruner, with the optimizer that you have.
    Source: Bungert et al., JMLR 23(192), 2022; the two callbacks of sparse speaker-verification training, 2025.

    >>> from prunus.steering import LambdaScheduler
    >>> BregmanPruner(lambda_scheduler=LambdaScheduler(1e-2, 0.9)).mode.verbose
    1
    >>> BregmanPruner(target_sparsity=0.8, collect_metrics=True)
    Traceback (most recent call last):
        ...
    prunus.errors.SettingError: BregmanPruner was given arguments of two modes: ...
    """

    prefix: ClassVar[str] = PREFIXES[2]

    def __init__(
        self,
        *,
        sparsity_threshold: float | None = None,
        collect_metrics: bool | None = None,
        lambda_scheduler: Steering | Callable[[], Steering] | None = None,
        target_sparsity: float | list[float] | None = None,
        initial_lambda: float | None = None,
        lambda_update_rate: float | None = None,
        update_frequency: int | None = None,
        parameters_to_prune: Sequence[str | tuple[nn.Module, str]] | None = None,
        verbose: int | None = None,
        echo: Echo = to_stdout,
        **unknown: object,
    ) -> None:
        refuse_unknown(type(self), unknown)
        if verbose is not None:
            require_count("verbose", verbose, 0)
        self.mode = mode_of(
            {
                "sparsity_threshold": sparsity_threshold,
                "collect_metrics": collect_metrics,
                "lambda_scheduler": lambda_scheduler,
                "target_sparsity": target_sparsity,
                "initial_lambda": initial_lambda,
                "lambda_update_rate": lambda_update_rate,
                "update_frequency": update_frequency,
                "parameters_to_prune": parameters_to_prune,
            }
        )
        super().__init__([])
        self.level, self.echo = verbose, echo
        self._model: nn.Module | None = None
        self._fresh: dict[str, Any] | None = None
        self._given: dict[str, list[float]] = {}
        self._torch_masks = TorchMasks()
        self._weights: list[Tensor] = []
        self._asked = False
        self._report = Report(0, echo)

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Forget the last run."""
        super().setup(trainer, pl_module, stage)
        if stage == "fit":
            self._model, self._asked, self._torch_masks = pl_module, False, TorchMasks()

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Settle the mode by the optimizer; start a new run sparse."""
        super().on_fit_start(trainer, pl_module)
        optimizer = trainer.optimizers[0]
        self.mode = self.mode or mode_for(optimizer)
        self.mode.require_optimizer(optimizer)
        self._given = bregman_start.group_settings(optimizer)
        if isinstance(self.mode, Proximal) and not trainer.ckpt_path and self._saved is None:
            bregman_start.start_sparse(trainer, pl_module)

    def plan(self, trainer: Trainer, pl_module: LightningModule) -> Sequence[Policy | Action]:
        """Return the policy of the mode; a steering that has served before begins anew."""
        action = self._settled.action(pl_module)
        assert action.steering is not None
        self._fresh = deepcopy(action.steering.state_dict()) if self._fresh is None else self._fresh
        action.steering.load_state_dict(deepcopy(self._fresh))
        return [action]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Build the scheduler, take up a saved run, and describe the groups."""
        mode, optimizer = self._settled, trainer.optimizers[0]
        self.log_every_n_steps = _rhythm(trainer) if mode.collect_metrics else 0
        super().on_train_start(trainer, pl_module)
        chosen: list[Tensor] = [choice.target.parameter for choice in explain(pl_module) if choice.chosen]
        self._weights = chosen or self._running.policies[0].bound.parameters
        level = mode.verbose if self.level is None else self.level
        self._report = Report(level * trainer.is_global_zero, self.echo, self._running.step, self.get_current_lambda())
        if isinstance(mode, Proximal) and isinstance(optimizer, BregmanOptimizer):
            self._report.groups(optimizer)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin the epoch, and see what torch's pruning has done meanwhile."""
        super().on_train_epoch_start(trainer, pl_module)
        self._torch_masks.follow(self._running)
        if isinstance(self.mode, Penalty):
            self._report.epoch(self._running)

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        """Leave the gradients alone: the penalty, where there is one, is part of the loss already."""

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Log what is due, and say what λ did."""
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)
        if isinstance(self.mode, Penalty):
            self._warn_unasked(self._running.step)
            every, strength = self.mode.update_frequency, self.get_current_lambda()
            self._report.update(self._running, every, self._target or 0.0, strength)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """See what torch's pruning did behind a validation."""
        if self.scheduler is not None and not trainer.sanity_checking:
            self._torch_masks.follow(self.scheduler)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """End the epoch and log its figures."""
        if isinstance(self.mode, Proximal) and self._running.epoch <= trainer.current_epoch:
            self._report.epoch(self._running)
        super().on_train_epoch_end(trainer, pl_module)

    def get_regularization_loss(self, module: nn.Module) -> Tensor:
        """Return λ·Σ|w| for the loss, differentiable; penalty mode only.

        Args:
            module: the LightningModule in training, ``self`` in its ``training_step``; before a run, any model.
        """
        if not isinstance(self.mode, Penalty):
            raise RunError(f"without a penalty mode there is no penalty; for one pass {', '.join(Penalty.names())}")
        if self.scheduler is None:
            return self.mode.loss(module)
        if module is not self.scheduler.model:
            kind = type(module).__name__
            raise RunError(f"get_regularization_loss was given {kind}, expected the module in training: pass self")
        self._asked = True
        penalty = self.scheduler.penalty()
        return zero_value(self.scheduler.policies[0].bound.parameters[0]) if penalty is None else penalty

    def get_current_sparsity(self) -> float:
        """Return the share of zeros among the regularized weights, measured now."""
        if self.scheduler is not None:
            return self.scheduler.sparsity()
        if self._model is None or not isinstance(self.mode, Penalty):
            raise RunError("BregmanPruner has no weights to measure yet: it meets them when training starts")
        return sparsity(self.mode.chosen(self._model))

    def get_current_lambda(self) -> float:
        """Return λ: that of the steering, or the largest of the groups; before a run, the initial one."""
        if self.scheduler is not None:
            return self.scheduler.policies[0].bound.metrics()["lambda"]
        if self.mode is None or self.mode.initial is None:
            raise RunError("BregmanPruner has no λ yet: it meets the optimizer when training starts")
        return self.mode.initial

    def state_dict(self) -> dict[str, Any]:
        """Return the run's state for Lightning's checkpoint, with what the groups were set up with."""
        state = super().state_dict()
        return {**state, "groups": self._given} if self.scheduler is not None else state

    @property
    def _settled(self) -> Proximal | Penalty:
        if self.mode is None:
            raise RunError("BregmanPruner has no mode yet: the optimizer settles it when training starts")
        return self.mode

    @property
    def _target(self) -> float | None:
        """The target of a steering that has one."""
        action = self._running.policies[0].policy.action
        steering = action.steering if isinstance(action, (Regularize, Steer)) else None
        return steering.target if isinstance(steering, FeedbackLoop) else None

    def _resume(self, saved: Mapping[str, Any]) -> None:
        super()._resume(saved)
        steered = self._settled.initial is not None
        bregman_start.warn_of_changes(saved.get("groups", {}), self._given, steered=steered)

    def _log(self, module: LightningModule, figures: Mapping[str, float], *, every_step: bool, sync: bool) -> None:
        mode, optimizer = self._settled, self._running.optimizer
        if not mode.collect_metrics or optimizer is None:
            return
        kept = {name: value for name, value in figures.items() if name != "lr"}
        named = {**mode.figures(kept, optimizer), "total_model_sparsity": sparsity(self._weights)}
        named |= {} if self._target is None else {"target_sparsity": self._target}
        super()._log(module, named, every_step=every_step, sync=sync)

    def _warn_unasked(self, step: int) -> None:
        """Warn once, after the first optimizer step."""
        if step == 1 and not self._asked:
            self._asked = True
            warnings.warn(f"BregmanPruner has had no effect so far: {ADVICE}", NoEffect, stacklevel=2)


def _rhythm(trainer: Trainer) -> int:
    """How often Lightning hands figures to its loggers; between these steps none would arrive."""
    return int(trainer.log_every_n_steps)  # type: ignore[attr-defined]
