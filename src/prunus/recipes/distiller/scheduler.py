"""The one scheduler, driven by the callbacks of Distiller's training loops."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from prunus.errors import NoEffect, RunError, SettingError
from prunus.policy import RunningPolicy
from prunus.recipes.distiller.batched import BatchedScheduler
from prunus.recipes.distiller.bound import Batch
from prunus.recipes.distiller.contract import Chosen, Component, LRScheduler
from prunus.recipes.distiller.document import Line
from prunus.recipes.distiller.fitting import Fitting
from prunus.recipes.distiller.policies import (
    LossComponent,
    PolicyLoss,
    PruningPolicy,
    RegularizationPolicy,
    no_args,
)
from prunus.recipes.distiller.rating import RateByEpoch
from prunus.recipes.distiller.regularizing import RegularizeByRule
from prunus.recipes.distiller.timing import in_epochs, in_range
from prunus.recipes.faults import Fault, Report

LOG = logging.getLogger(__name__)


class DistillerScheduler(BatchedScheduler):
    """The one engine under Distiller's six callbacks; :func:`load` and :meth:`add_policy` give it policies.

    The callbacks go where Distiller's loops have them::

        for epoch in range(epochs):
            scheduler.on_epoch_begin(epoch)
            for b, (x, y) in enumerate(loader):
                scheduler.on_minibatch_begin(epoch, b, len(loader), optimizer)
                loss = F.cross_entropy(model(x), y)
                loss = scheduler.before_backward_pass(epoch, b, len(loader), loss, optimizer)
                optimizer.zero_grad()
                loss.backward()
                scheduler.before_parameter_optimization(epoch, b, len(loader), optimizer)
                optimizer.step()
                scheduler.on_minibatch_end(epoch, b, len(loader), optimizer)
            scheduler.on_epoch_end(epoch, optimizer, metrics={"min": loss_on_validation, "max": accuracy})

    The plain loop of :class:`CompressionScheduler` works too; where a policy acts before the forward pass, call
    ``scheduler.step_begin()`` there.

    Args:
        model: the model.
        optimizer: its optimizer; None when only the callbacks say when it steps.
        steps_per_epoch, epochs: as for the engine; not needed with the callbacks.

    ``notices`` holds what the reader should know of conventions that are kept and names that were matched.

    >>> model = nn.Sequential(nn.Linear(10, 10))
    >>> scheduler = DistillerScheduler(model, torch.optim.SGD(model.parameters(), lr=0.1))
    >>> from prunus.recipes.distiller.pruners import AutomatedGradualPruner
    >>> scheduler.add_policy(AutomatedGradualPruner(0.1, 0.9, "0.weight"), starting_epoch=0, ending_epoch=5)
    >>> for epoch in range(5):
    ...     scheduler.on_epoch_begin(epoch)
    ...     scheduler.on_minibatch_begin(epoch, 0, 1)
    ...     scheduler.on_epoch_end(epoch)
    >>> scheduler.sparsity()
    0.9
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer | None,
        *,
        steps_per_epoch: int | None = None,
        epochs: int | None = None,
    ) -> None:
        super().__init__(model, optimizer, steps_per_epoch=steps_per_epoch, epochs=epochs)
        self.lines: list[Line] = []
        self._known: dict[int, tuple[Component, Chosen | None]] = {}
        self.notices: list[Fault] = []

    def add_policy(
        self,
        policy: Component | PruningPolicy | RegularizationPolicy,
        epochs: Sequence[int] | None = None,
        starting_epoch: int | None = None,
        ending_epoch: int | None = None,
        frequency: int = 1,
    ) -> None:
        """Add a policy, before the run begins: either in these epochs, or in range(starting, ending, frequency).

        Args:
            policy: a pruner, regularizer, learning-rate scheduler or extension of this package; with arguments, a
                :class:`PruningPolicy` or :class:`RegularizationPolicy`.
            epochs: the epochs in which it fires.
            starting_epoch, ending_epoch, frequency: the same as a half-open range.

        Raises:
            SettingError: both or neither of list and range, or a range that never fires. RecipeError: the policy does
                not fit the model or the policies that are there. RunError: the run has begun.
        """
        ranged = starting_epoch is not None and ending_epoch is not None
        beside = (starting_epoch, ending_epoch, frequency) != (None, None, 1)
        if (epochs is None) != ranged or (epochs is not None and beside):
            raise SettingError("expected either epochs, or starting_epoch and ending_epoch with a frequency")
        window = in_epochs(epochs) if epochs is not None else in_range(starting_epoch, ending_epoch, frequency)  # type: ignore[arg-type]
        component, args = (policy, None) if isinstance(policy, Component) else policy
        name = f"policies[{len(self.lines)}]"
        self.add_lines([Line(component, window, args or no_args(component), name=name)], Report())

    def add_lines(self, lines: Sequence[Line], report: Report) -> None:
        """Fit lines to the model, raise every fault in one RecipeError, warn, and take notices and policies over."""
        if self._started:
            raise RunError("the run has begun: add policies before it")
        fitting = Fitting(self.model, self.optimizer, report, self._known)
        self._require_optimizer_for(lines, report)
        policies = fitting.policies(lines, self.lines)
        report.finish()
        self._known = fitting.known
        self._tell(report.in_order())
        self.lines += lines
        self.policies += [RunningPolicy(policy, self._site) for policy in policies]
        self.policies.sort(key=lambda policy: isinstance(policy.policy.action, RateByEpoch))
        self._homes = self.policies.homes(self.model)

    def _require_optimizer_for(self, lines: Sequence[Line], report: Report) -> None:
        for line in lines if self.optimizer is None else ():
            if isinstance(line.component, LRScheduler):
                report.add(line.place, f"{type(line.component).__name__} needs an optimizer, and there is none")

    def _tell(self, faults: Sequence[Fault]) -> None:
        for fault in faults:
            if fault.severity == "warning":
                warnings.warn(str(fault), NoEffect, stacklevel=4)
            else:
                self.notices.append(fault)
                LOG.info("%s", fault)

    def on_epoch_begin(self, epoch: int, optimizer: torch.optim.Optimizer | None = None) -> None:
        """Begin an epoch: pruners decide their masks. The first epoch of a run may be any."""
        self._require_optimizer(optimizer)
        if not (self._in_epoch or self.history or self.step):
            self.epoch = epoch
        self.epoch_begin(epoch)

    def on_minibatch_begin(
        self,
        epoch: int,
        minibatch_id: int,
        minibatches_per_epoch: int,
        optimizer: torch.optim.Optimizer | None = None,
    ) -> None:
        """Begin a mini-batch, before its forward pass: masks are put on."""
        self._require_place(epoch, optimizer)
        self._begin_batch(Batch(epoch, minibatch_id, minibatches_per_epoch))
        self._called = True

    def before_backward_pass(
        self,
        epoch: int,
        minibatch_id: int,
        minibatches_per_epoch: int,
        loss: Tensor,
        optimizer: torch.optim.Optimizer | None = None,
        return_loss_components: bool = False,
    ) -> Tensor | PolicyLoss:
        """Return the loss with the terms of all regularizers; with ``return_loss_components`` those beside it too."""
        self._require_place(epoch, optimizer)
        terms = self.penalties()
        parts = [LossComponent(_loss_name(policy.action), term.detach()) for policy, term in terms]
        found = [term for _, term in terms]
        total = sum(found[1:], start=found[0]) if found else None
        self._penalty = None if total is None else total.detach()
        overall = loss if total is None else loss + total
        return PolicyLoss(overall, parts) if return_loss_components else overall

    def before_parameter_optimization(
        self, epoch: int, minibatch_id: int, minibatches_per_epoch: int, optimizer: torch.optim.Optimizer | None
    ) -> None:
        """Go back to dense weights where policies say so, before the optimizer's step."""
        self._require_place(epoch, optimizer)
        self._before_update()

    def on_minibatch_end(
        self,
        epoch: int,
        minibatch_id: int,
        minibatches_per_epoch: int,
        optimizer: torch.optim.Optimizer | None = None,
    ) -> None:
        """End a mini-batch, after the optimizer's step: masks are enforced, thresholds act."""
        self._require_place(epoch, optimizer)
        self._called = True
        if self.optimizer is None:
            self._require_update_announced()
            self._before_update()
            self._after_step()
        self._end_batch(Batch(epoch, minibatch_id, minibatches_per_epoch))
        self._called = False

    def on_epoch_end(
        self,
        epoch: int,
        optimizer: torch.optim.Optimizer | None = None,
        metrics: Mapping[str, float] | None = None,
    ) -> None:
        """End an epoch: masks that are to be kept become permanent, learning rates are set for the next epoch."""
        self._require_place(epoch, optimizer)
        self.epoch_end(None if metrics is None else {name: float(value) for name, value in metrics.items()})

    def _require_place(self, epoch: int, optimizer: torch.optim.Optimizer | None) -> None:
        self._require_optimizer(optimizer)
        if epoch != self.epoch:
            raise RunError(f"a callback of epoch {epoch} was called in epoch {self.epoch}")
        self._ensure_epoch()

    def _require_update_announced(self) -> None:
        """An optimizer that nobody knows has updated by now, and going back to dense weights would undo that."""
        if not self._ready and any(bound.awaits_update for bound in self._active()):
            raise RunError(
                "a policy of this epoch acts between gradients and update: call before_parameter_optimization, or give "
                "load the optimizer"
            )

    def _require_optimizer(self, optimizer: torch.optim.Optimizer | None) -> None:
        if optimizer is not None and self.optimizer is not None and optimizer is not self.optimizer:
            raise RunError("the callback was given another optimizer than the scheduler")


def _loss_name(action: object) -> str:
    return f"{type(cast(RegularizeByRule, action).regularizer).__name__}_loss"
