"""The shell around every rule that moves λ by readings of the sparsity: when it acts, its bounds, what is saved."""

from __future__ import annotations

import inspect
import warnings
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from prunus.errors import NoEffect, RunError, SettingError, require_count, require_fraction, require_number
from prunus.masks import MaskStore
from prunus.measure import sparsity
from prunus.optim import BregmanOptimizer
from prunus.steering import _advice
from prunus.steering._reach import reach
from prunus.steering.base import Steering, set_lambda

LARGEST = 1e30
"""Bound of the settings: what they make of λ must stay finite in float32, where regularizers work."""
PATIENCE = 10
"""So many updates in a row at one bound count as stopped there; a bound touched in passing is no fault."""
MISS = 0.01
"""A run that ends this far from its target has missed it."""


class FeedbackLoop(Steering):
    """Base of the members that take one reading of the sparsity a step and answer with λ.

    A member writes ``_next``; one that moves λ by a fixed amount:

    >>> class Nudge(FeedbackLoop):
    ...     def _next(self, reading: float, target: float) -> float:
    ...         return self.lambda_value + (0.25 if reading < target else -0.25)
    >>> nudge = Nudge(initial_lambda=1.0, target_sparsity=0.9, min_lambda=0.0, max_lambda=1.25)
    >>> [nudge.step(reading) for reading in (0.5, 0.5, 0.95)]
    [1.25, 1.25, 1.0]
    """

    saved: ClassVar[tuple[str, ...]] = ("target_sparsity", "min_lambda", "max_lambda", "lambda_value")
    """Attributes of a saved state that must be there."""
    optional: ClassVar[tuple[str, ...]] = ("steps", "epoch")
    """Attributes of a saved state that may be missing, as they are in states of the original implementations."""

    def __init__(
        self,
        initial_lambda: float,
        target_sparsity: float | list[float],
        min_lambda: float,
        max_lambda: float,
        update_frequency: int = 1,
        warmup_steps: int = 0,
        warmup_epochs: int = 0,
    ) -> None:
        require_targets("target_sparsity", target_sparsity)
        require_number("min_lambda", min_lambda, 0.0, LARGEST)
        require_number("max_lambda", max_lambda, min_lambda, LARGEST)
        require_number("initial_lambda", initial_lambda, min_lambda, max_lambda)
        require_count("update_frequency", update_frequency)
        require_count("warmup_steps", warmup_steps, 0)
        require_count("warmup_epochs", warmup_epochs, 0)
        self.initial_lambda = self.lambda_value = initial_lambda
        self.target_sparsity = list(target_sparsity) if isinstance(target_sparsity, Sequence) else target_sparsity
        self.min_lambda, self.max_lambda = min_lambda, max_lambda
        self.update_frequency, self.warmup_steps, self.warmup_epochs = update_frequency, warmup_steps, warmup_epochs
        self.steps = 0
        self.epoch: int | None = None
        self._reading: float | None = None
        self._stuck = 0
        self._said: set[str] = set()
        self._masks: MaskStore | None = None

    def __repr__(self) -> str:
        """Return the call that makes an equal member."""
        settings = ", ".join(f"{name}={getattr(self, name)!r}" for name in inspect.signature(type(self)).parameters)
        return f"{type(self).__name__}({settings})"

    @property
    def target(self) -> float:
        """The target of this epoch."""
        return target_at(self.target_sparsity, self.epoch or 0)

    def epoch_begin(self, epoch: int) -> None:
        """Take note that an epoch begins; needed where targets or the warm-up count epochs."""
        self.epoch = epoch

    def step(self, current_sparsity: float, last_sparsity: float | None = None) -> float:
        """Take one reading and return the new λ.

        Args:
            current_sparsity: measured share of zeros in [0, 1].
            last_sparsity: the reading before it, given once after a resume by loops that keep it themselves.
        """
        require_fraction("current_sparsity", current_sparsity)
        if last_sparsity is not None:
            require_fraction("last_sparsity", last_sparsity)
        self._require_epochs()
        self.steps += 1
        self._reading = self._read(current_sparsity, last_sparsity)
        if self._due():
            raw = self._next(self._reading, self.target)
            self.lambda_value = max(self.min_lambda, min(self.max_lambda, raw))
            self._watch(self._reading)
        return self.lambda_value

    @abstractmethod
    def _next(self, reading: float, target: float) -> float:
        """Return the next λ, before its bounds."""

    def _read(self, current: float, last: float | None) -> float:
        """Return what the rule takes for the reading: as it is, unless a member knows better."""
        return current

    def _due(self) -> bool:
        warm = self.steps > self.warmup_steps and (self.epoch or 0) >= self.warmup_epochs
        return warm and self.steps % self.update_frequency == 0

    def prepare(self, optimizer: BregmanOptimizer, masks: MaskStore) -> None:
        """Remember the masks, whose zeros no λ can bring back."""
        self._masks = masks

    def begin(self, optimizer: BregmanOptimizer) -> None:
        """Give the optimizer the initial λ before its first step, so that its duals start with it."""
        set_lambda(optimizer, self.lambda_value)

    def after_step(self, optimizer: BregmanOptimizer, step: int, progress: float) -> None:
        """Measure the steered weights and set λ for the next step."""
        reading = sparsity([member.parameter for member in optimizer.regularized()])
        set_lambda(optimizer, self.step(reading))
        if self.steps == PATIENCE:
            self._warn_out_of_reach(optimizer)

    def finish(self, optimizer: BregmanOptimizer | None) -> None:
        """Warn NoEffect when the last reading misses the target by more than a point, and say what to try.

        No optimizer is given where λ weighs a penalty.
        """
        if self._reading is None or abs(self._reading - self.target) <= MISS:
            return
        if optimizer is None:
            self._warn("penalty", _advice.left_by_a_penalty(self._reading, self.target, self.lambda_value))
            return
        self._warn_out_of_reach(optimizer)
        if not self._said:
            self._warn("end", _advice.missed(self._reading, self.target, self.lambda_value))

    def metrics(self) -> dict[str, float]:
        """Return λ."""
        return {"lambda": self.lambda_value}

    def get_state(self) -> dict[str, Any]:
        """Return λ, what the rule remembers, and the settings, as plain numbers."""
        return {name: _plain(getattr(self, name)) for name in (*self.saved, *self.optional)}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take back what :meth:`get_state` returned.

        The state wins over settings that were given anew, so that a resumed run goes on as it was; each setting that
        loses is named in one NoEffect warning. To steer elsewhere after a resume, assign to the attribute.

        Raises:
            SettingError: missing or unknown keys, or values that no run can have saved; nothing is taken over then.
        """
        odd = (set(self.saved) - set(state)) | (set(state) - {*self.saved, *self.optional})
        if odd:
            kind = type(self).__name__
            raise SettingError(f"the state of {kind} has missing or unknown keys: {', '.join(sorted(odd))}")
        known = inspect.signature(type(self)).parameters
        settings = {name: state.get(name, getattr(self, name)) for name in known}
        type(self)(**{**settings, "initial_lambda": state["lambda_value"]})  # refuses what is out of range
        given = [name for name in state if name in known]
        changed = [(name, getattr(self, name), state[name]) for name in given if getattr(self, name) != state[name]]
        for name, value in state.items():
            setattr(self, name, _plain(value))
        if changed:
            warnings.warn(_advice.changed(type(self).__name__, changed), NoEffect, stacklevel=2)

    def state_dict(self) -> dict[str, Any]:
        """Return :meth:`get_state`."""
        return self.get_state()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Call :meth:`load_state`."""
        self.load_state(state)

    def _require_epochs(self) -> None:
        """Refuse to count epochs that nobody announces."""
        counts = self.warmup_epochs > 0 or isinstance(self.target_sparsity, list)
        if counts and self.epoch is None:
            what = "warmup_epochs" if self.warmup_epochs else "a target_sparsity for each epoch"
            raise RunError(f"{what} needs to know the epoch: call epoch_begin(epoch) when an epoch begins")

    def _watch(self, reading: float) -> None:
        """Warn NoEffect, once for each bound, when λ has stopped at it while the target is missed."""
        high = self.lambda_value == self.max_lambda and reading < self.target
        low = self.lambda_value == self.min_lambda and reading > self.target
        self._stuck = self._stuck + 1 if high or low else 0
        if self._stuck >= PATIENCE:
            text = _advice.too_dense if high else _advice.too_sparse
            self._warn("high" if high else "low", text(self.lambda_value, reading, self.target))

    def _warn_out_of_reach(self, optimizer: BregmanOptimizer) -> None:
        """Warn NoEffect, once, when no λ could meet the target."""
        reason = reach(optimizer, self._masks).why_not(self.target)
        if reason:
            self._warn("reach", f"the target sparsity {self.target:g} is out of reach: {reason}")

    def _warn(self, topic: str, text: str) -> None:
        if topic not in self._said:
            self._said.add(topic)
            warnings.warn(text, NoEffect, stacklevel=4)


def target_at(target: float | Sequence[float], epoch: int) -> float:
    """Return the target of an epoch: a number holds for all, a list gives one each and its last one holds.

    >>> [target_at([0.5, 0.8], epoch) for epoch in range(4)], target_at(0.9, 7)
    ([0.5, 0.8, 0.8, 0.8], 0.9)
    """
    return target[min(epoch, len(target) - 1)] if isinstance(target, Sequence) else target


def require_targets(name: str, target: object) -> None:
    """Raise SettingError unless ``target`` is a fraction or a list of at least one.

    >>> require_targets("target_sparsity", [0.5, 90])
    Traceback (most recent call last):
        ...
    prunus.errors.SettingError: target_sparsity[1] is 90, expected a fraction between 0 and 1 (for 90 % write 0.9)
    """
    if not isinstance(target, (list, tuple)):
        return require_fraction(name, target)
    if not target:
        raise SettingError(f"{name} is empty, expected a fraction between 0 and 1 for each epoch")
    for index, value in enumerate(target):
        require_fraction(f"{name}[{index}]", value)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, (list, tuple)) else value
