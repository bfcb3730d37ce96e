"""The one scheduler: moments of training in, policies fired, masks enforced."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from prunus._hooks import hang_on
from prunus._program import Program, require_homes
from prunus.actions import Action, Moment, Site
from prunus.errors import CheckpointError, NoEffect, RunError, SparsityDecreaseError, require_count
from prunus.masks import MaskStore
from prunus.measure import count
from prunus.measure.zeros import Count
from prunus.policy import Policy
from prunus.window import UNITS

VERSION = 2
"""Version of the saved state."""


class CompressionScheduler:
    """Fire policies at the moments of any training loop and enforce the masks after every optimizer step.

    With an optimizer the scheduler hangs on its step hooks: actions due before an update run when ``step()`` is
    called, masks and steering right after it, so gradient accumulation and loss scaling need nothing extra. What is
    left for the loop is one line an epoch (two with ``scheduler.loss`` for penalties)::

        scheduler = CompressionScheduler(model, policies, optimizer=optimizer, steps_per_epoch=len(loader))
        for epoch in scheduler.epochs(10):
            for x, y in loader:
                loss = scheduler.loss(F.cross_entropy(model(x), y))
                loss.backward()
                optimizer.step()
                optimizer.zero_grad()
            scheduler.epoch_end({"accuracy": accuracy})

    Without ``scheduler.epochs`` pass ``epochs=`` and call ``epoch_end`` after each epoch; an epoch begins with a call
    of ``epoch_begin``, or by itself at the first step after the last one ended.

    Args:
        model: the model; parameter names and state-dict keys are never changed.
        policies: policies, or bare actions for the whole run.
        optimizer: the optimizer of the model. Without one, call ``gradients_ready`` and ``step_end`` around updates.
        steps_per_epoch: optimizer steps in an epoch, for windows in steps.
        epochs: length of the run, unless ``scheduler.epochs(n)`` says it.

    Raises:
        SelectionError, StructureError, SettingError: a policy does not fit the model or the optimizer (at once, with
            nothing changed). RunError: the length of the run is needed and unknown, or calls come in the wrong order.

    >>> from prunus.actions import Prune
    >>> from prunus.schedules import Cubic
    >>> model = nn.Linear(10, 10)
    >>> scheduler = CompressionScheduler(model, [Prune(Cubic(0.9))])
    >>> [(epoch, round(scheduler.sparsity(), 2)) for epoch in scheduler.epochs(3)]
    [(0, 0.0), (1, 0.78), (2, 0.9)]
    """

    Masks: ClassVar[type[MaskStore]] = MaskStore
    """What keeps and enforces the masks."""

    def __init__(
        self,
        model: nn.Module,
        policies: Sequence[Policy | Action],
        *,
        optimizer: torch.optim.Optimizer | None = None,
        steps_per_epoch: int | None = None,
        epochs: int | None = None,
    ) -> None:
        for name, value in (("steps_per_epoch", steps_per_epoch), ("epochs", epochs)):
            if value is not None:
                require_count(name, value)
        self.model = model
        self.optimizer = optimizer
        self.masks = self.Masks([])
        self.neighbours: list[MaskStore] = []
        """Masks of other schedulers on the same optimizer: what they pruned stays pruned while this one acts."""
        self._site = Site(model, optimizer, self.masks)
        self.policies = Program.bind(policies, self._site)
        self._homes = self.policies.homes(model)
        self.steps_per_epoch = steps_per_epoch
        self.total_epochs = epochs
        self.epoch = 0
        self.step = 0
        self.step_in_epoch = 0
        self.history: list[dict[str, float]] = []
        self._started = self._in_epoch = self._ready = self._saw_loss = self._finished = False
        self._penalty: Tensor | None = None
        self._handles = [] if optimizer is None else self._hang_on(optimizer)

    def epochs(self, total: int) -> Iterator[int]:
        """Yield the epochs of a run of ``total``, beginning each; after a resume, go on where the saved run was.

        A loop that is left with ``break`` may go on later; where it does not, call :meth:`finish`.
        """
        require_count("epochs", total)
        if self.total_epochs not in (None, total):
            raise RunError(f"the run was said to have {self.total_epochs} epochs, now {total}")
        self.total_epochs = total
        if self.epoch >= total:
            text = f"the run has done {self.epoch} epochs already, so a run of {total} has nothing left to do"
            warnings.warn(text, NoEffect, stacklevel=2)
        while self.epoch < total:
            current = self.epoch
            if not self._in_epoch:
                self.epoch_begin()
            self._start()
            yield current
            if self.epoch == current:
                self.epoch_end()
            elif self.epoch > current + 1:
                raise RunError(f"epoch_end was called {self.epoch - current} times in epoch {current}, expected once")

    def epoch_begin(self, epoch: int | None = None) -> None:
        """Begin the next epoch (or check that ``epoch`` is the next) and fire what is due before it."""
        if self._in_epoch:
            raise RunError(f"epoch {self.epoch} has not ended: call epoch_end before the next epoch_begin")
        if epoch is not None and epoch != self.epoch:
            raise RunError(f"epoch {epoch} was begun, expected {self.epoch}")
        self._start()
        require_homes(self.model, self._homes)
        for policy in self.policies:
            policy.bound.epoch_begin(self.epoch)
        self._fire(Moment.BEFORE, "epoch")
        self._in_epoch, self._finished = True, False

    def step_begin(self) -> None:
        """Say that a step begins, before its forward pass; needed where a policy acts there, harmless elsewhere."""
        self._ensure_epoch()

    def loss(self, loss: Tensor) -> Tensor:
        """Return the loss plus every penalty that is active now."""
        penalty = self.penalty()
        return loss if penalty is None else loss + penalty

    def penalty(self) -> Tensor | None:
        """Return the sum of the penalties that are active now, differentiable, or None when there is none.

        An epoch that nobody has begun begins later, with the gradients: pruning now, between forward and backward,
        would change weights that the backward pass still needs.
        """
        found = [term for _, term in self.penalties()]
        total = sum(found[1:], start=found[0]) if found else None
        self._penalty = None if total is None else total.detach()  # a number only when asked: no waiting for the device
        return total

    def penalties(self) -> list[tuple[Policy, Tensor]]:
        """Return the penalties that are active now, each with its policy: what :meth:`penalty` adds up."""
        self._start()
        self._saw_loss = True
        active = [policy for unit in UNITS for policy in self.policies.due(Moment.DURING, unit, self._time(unit))]
        for policy in active:
            policy.fired += 1
        terms = [(policy.policy, policy.bound.penalty()) for policy in active]
        return [(policy, term) for policy, term in terms if term is not None]

    def gradients_ready(self) -> None:
        """Fire what is due between gradients and update; a known optimizer's own hook does so at the right time."""
        if self.optimizer is None:
            self._before_update()

    def _before_update(self) -> None:
        self._ensure_epoch()
        if not self._ready:
            self._fire(Moment.BEFORE, "step")
            self._ready = True

    def step_end(self) -> None:
        """Enforce masks and fire what is due after an update; only for loops without a known optimizer."""
        if self.optimizer is not None:
            raise RunError("step_end is called by the optimizer's own hook; calling it again would count a step twice")
        self._before_update()
        self._after_step()

    def epoch_end(self, metrics: Mapping[str, float] | None = None, *, broken_off: bool = False) -> None:
        """End the epoch: fire what is due, add a row to ``history``, warn about policies that had no effect.

        Args:
            metrics: figures of the epoch, such as the validation accuracy, kept in the row and told to every policy.
            broken_off: whether training stopped inside the epoch: then it is short on purpose, and no goal that lies
                behind is made good at once.
        """
        self._ensure_epoch()
        for policy in self.policies:
            policy.bound.epoch_end(metrics or {})
        self._fire(Moment.AFTER, "epoch")
        if not broken_off:
            self.policies.warn_of_length(self.epoch, self.step_in_epoch, self.steps_per_epoch)
        if not broken_off and self.epoch + 1 == self.total_epochs:
            self.policies.complete(self.step, self._total_steps)
        self._enforce()
        row = {"epoch": self.epoch, "step": self.step, **self.metrics(), **(metrics or {})}
        self.history.append(row)
        self.epoch += 1
        self.step_in_epoch = 0
        self._in_epoch = False
        if self.epoch == self.total_epochs:
            self.finish()

    def finish(self) -> None:
        """Say that the run is over: warn, once, about every policy that never acted or missed its goal.

        The last ``epoch_end`` calls it; a loop that stops earlier has to. Training may go on nevertheless.
        """
        if not self._finished:
            self._finished = True
            self.policies.finish(self._saw_loss)

    def count(self) -> Count:
        """Return the zeros and the total of all weights that some policy acts on."""
        return count(self.policies.parameters or self.model)

    def sparsity(self) -> float:
        """Return the share of exact zeros among all weights that some policy acts on."""
        return self.count().sparsity

    def metrics(self) -> dict[str, float]:
        """Return sparsity, penalty, learning rate and every policy's own figures."""
        figures = {"sparsity": self.sparsity()}
        if self.optimizer is not None:
            figures["lr"] = float(self.optimizer.param_groups[0]["lr"])
        if self._penalty is not None:
            figures["penalty"] = float(self._penalty)
        return self.policies.metrics(figures)

    def detach(self) -> None:
        """Take the scheduler's hooks off the optimizer; masks are no longer enforced."""
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def __getstate__(self) -> dict[str, Any]:
        """Leave the hooks out: optimizers do not carry theirs into a copy either."""
        return {**self.__dict__, "_handles": bool(self._handles)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Hang on the copied optimizer again, so that a copied scheduler is not a dead one."""
        self.__dict__.update(state)
        self._handles = self._hang_on(self.optimizer) if state["_handles"] and self.optimizer is not None else []

    def state_dict(self) -> dict[str, Any]:
        """Return the place in the run, masks, policies and history: plain numbers, strings and tensors."""
        return {
            "version": VERSION,
            "place": [self.epoch, self.step, self.step_in_epoch, self._in_epoch, self._ready],
            "loss": [self._saw_loss, None if self._penalty is None else float(self._penalty)],
            "masks": self.masks.state_dict(),
            "policies": self.policies.state_dict(),
            "history": [dict(row) for row in self.history],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go back to a saved place, all or nothing.

        Errors: CheckpointError when the state is of other policies, structures or targets; SparsityDecreaseError when a
        policy now ends below what is pruned. What else has changed, such as a criterion or a window, acts from here on.
        """
        before = self.state_dict()
        self._require_same_policies(state)
        try:
            self._take(state)
        except (CheckpointError, SparsityDecreaseError):
            self._take(before)
            raise
        except Exception as error:  # whatever a damaged state makes a part raise, nothing may stay half loaded
            self._take(before)
            raise CheckpointError(f"the scheduler's state is incomplete or damaged: {error!r}") from error

    def _take(self, state: Mapping[str, Any]) -> None:
        self.masks.load_state_dict(state["masks"])
        self.policies.load_state_dict(state["policies"])
        self.epoch, self.step, self.step_in_epoch, self._in_epoch, self._ready = state["place"]
        self._saw_loss, penalty = state["loss"]
        self._penalty = None if penalty is None else torch.tensor(penalty)
        self.history = [dict(row) for row in state["history"]]
        self._finished = False
        if self._started:
            self.policies.begin(self.epoch, self.step)

    def _require_same_policies(self, state: Mapping[str, Any]) -> None:
        if state.get("version") != VERSION:
            found = f"the scheduler was saved in version {state.get('version')}, this prunus reads version {VERSION}"
            raise CheckpointError(found)
        saved = [policy["action"] for policy in state.get("policies", [])]
        mine = [policy.policy.action.title for policy in self.policies]
        if saved != mine:
            raise CheckpointError(f"the saved scheduler has policies {saved}, this one has {mine}")

    def _hang_on(self, optimizer: torch.optim.Optimizer) -> list[RemovableHandle]:
        return hang_on(optimizer, self._before_update, self._after_step)

    def _after_step(self) -> None:
        """Masks first, so that steering measures what is left; again after it, so that nothing it revives stays."""
        self._ensure_epoch()
        self._enforce()
        if self._fire(Moment.AFTER, "step"):
            self._enforce()
        self.step += 1
        self.step_in_epoch += 1
        self._ready = False

    def _enforce(self) -> None:
        """Apply all masks, the neighbours' too: their hook may come later, and may not come again after this one."""
        for masks in (self.masks, *self.neighbours):
            masks.apply_()

    def _start(self) -> None:
        """Fix every span, once the length of the run is known, and let the actions prepare."""
        if self._started:
            return
        require_homes(self.model, self._homes)
        self.policies.resolve({"epoch": self.total_epochs, "step": self._total_steps})
        self.policies.begin(self.epoch, self.step)
        self._started = True

    @property
    def _total_steps(self) -> int | None:
        known = self.total_epochs is not None and self.steps_per_epoch is not None
        return self.total_epochs * self.steps_per_epoch if known else None  # type: ignore[operator]

    def _ensure_epoch(self) -> None:
        self._start()
        if not self._in_epoch:
            self.epoch_begin()

    def _fire(self, moment: Moment, unit: str) -> bool:
        """Fire what is due; say whether anything was."""
        return self.policies.fire(moment, unit, self._time(unit))

    def _time(self, unit: str) -> int:
        return self.epoch if unit == "epoch" else self.step
