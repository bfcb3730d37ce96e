"""The one scheduler, which also tells its policies when a mini-batch begins, before its forward pass, and ends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import nn

from prunus.errors import RunError
from prunus.recipes.distiller.bound import Batch, PolicyBound
from prunus.recipes.distiller.layers import LayeredMasks
from prunus.scheduler import CompressionScheduler


class BatchedScheduler(CompressionScheduler):
    """The engine with masks in layers and mini-batches; it begins without policies.

    In a plain loop a mini-batch is an optimizer step, and ``step_begin`` comes before its forward pass.

    >>> BatchedScheduler(nn.Linear(2, 2), None).policies
    []
    """

    Masks: ClassVar[type[LayeredMasks]] = LayeredMasks
    masks: LayeredMasks

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer | None,
        *,
        steps_per_epoch: int | None = None,
        epochs: int | None = None,
    ) -> None:
        super().__init__(model, [], optimizer=optimizer, steps_per_epoch=steps_per_epoch, epochs=epochs)
        self._batch: Batch | None = None
        self._half: Batch | None = None  # one in whose middle the run was saved: it may go on or begin again
        self._called = False  # whether callbacks begin and end the mini-batches
        self._acting_in = -1
        self._acting: list[PolicyBound] = []

    def step_begin(self) -> None:
        """Begin a mini-batch in a plain loop, before its forward pass; a second call in one step does nothing."""
        self._ensure_epoch()
        if self._batch is None:
            self._begin_batch(self._place())

    def epoch_begin(self, epoch: int | None = None) -> None:
        """Begin the next epoch; its masks are on at once, unless something has to be done before the forward pass."""
        super().epoch_begin(epoch)
        if not any(bound.needs_minibatches for bound in self._active()):
            self.masks.apply_()

    def epoch_end(self, metrics: Mapping[str, float] | None = None, *, broken_off: bool = False) -> None:
        """End the epoch; learning rates change once the figures of the epoch are taken."""
        self._ensure_epoch()
        epoch, acting = self.epoch, self._active()
        for bound in acting:
            bound.close_epoch(epoch)
        self._batch = self._half = None
        super().epoch_end(metrics, broken_off=broken_off)
        for bound in acting:
            bound.epoch_over(epoch, metrics)

    def detach(self) -> None:
        """Take every hook off the optimizer and the model."""
        super().detach()
        for bound in self._bounds():
            bound.close()

    def _begin_batch(self, batch: Batch) -> None:
        self._batch, self._half = batch, None
        self._ready = False  # an update that was skipped, for its gradients overflowed or add up, did not clear it
        for bound in self._active():
            bound.minibatch_begin(batch)
        for bound in self._active():
            bound.before_forward()
        self._enforce()

    def _end_batch(self, batch: Batch) -> None:
        self._batch = None
        for bound in self._active():
            bound.minibatch_end(batch)
        self._enforce()

    def _before_update(self) -> None:
        """Also called by the optimizer's hook; the second call of a step does nothing."""
        self._ensure_epoch()
        self._batch, self._half = self._batch or self._half, None
        if self._batch is None and any(bound.needs_minibatches for bound in self._active()):
            raise RunError(
                "a policy of this epoch acts before the forward pass: call on_minibatch_begin, or in a loop without "
                "Distiller's callbacks step_begin(), before it"
            )
        if not self._ready:
            for bound in self._active():
                bound.before_update()
        super()._before_update()

    def _after_step(self) -> None:
        batch = self._batch or self._place()
        super()._after_step()
        if not self._called:
            self._end_batch(batch)

    def _start(self) -> None:
        if not self._started:
            super()._start()
            for bound in self._bounds():
                bound.attach()

    def _place(self) -> Batch:
        return Batch(self.epoch, self.step_in_epoch, self.steps_per_epoch)

    def _bounds(self) -> list[PolicyBound]:
        return [policy.bound for policy in self.policies if isinstance(policy.bound, PolicyBound)]

    def _active(self) -> list[PolicyBound]:
        """Return the policies that fire in this epoch, found once an epoch."""
        if self._acting_in != self.epoch:
            self._acting_in = self.epoch
            firing = [policy for policy in self.policies if policy.span is not None and policy.span.fires(self.epoch)]
            self._acting = [policy.bound for policy in firing if isinstance(policy.bound, PolicyBound)]
        return self._acting

    def state_dict(self) -> dict[str, Any]:
        """Return the engine's state, and how far the mini-batch has come; gradients are the loop's to keep."""
        batch = self._batch or self._half
        return {**super().state_dict(), "batch": [batch and list(batch), self._called]}

    def _take(self, state: Mapping[str, Any]) -> None:
        super()._take(state)
        self._start()
        batch, self._called = state["batch"]
        self._acting_in, self._batch, self._half = -1, None, batch and Batch(*batch)
