"""λ feedback: multiply λ while the model is too dense, divide it while it is too sparse."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prunus.errors import SettingError, require_fraction, require_number
from prunus.measure import sparsity
from prunus.optim import BregmanOptimizer
from prunus.steering.base import Steering, set_lambda

LARGEST = 1e30
"""Bound of the settings: what they make of λ must stay finite in float32, where regularizers work."""


def feedback(strength: float, current: float, target: float, acceleration: float) -> float:
    r"""Return the next λ: λ·f below the target, λ/f above it, with f = 1 + acceleration·\|s − target\|.

    >>> round(feedback(0.01, 0.5, 0.9, 0.25), 6)
    0.011
    """
    factor = 1.0 + acceleration * abs(current - target)
    if current < target:
        return strength * factor
    return strength / factor if current > target else strength


class LambdaScheduler(Steering):
    r"""Drive λ so that the measured sparsity s approaches a target.

    After every optimizer step

    .. math:: \lambda \leftarrow \mathrm{clip}(\lambda f^{\pm 1}, \lambda_{min}, \lambda_{max}), \quad
              f = 1 + a\,|s - s^*|

    with ``+`` while s < s*, ``-`` while s > s*. Each steered group gets λ·lambda_scale; the dual variable is not
    touched, so a rise of λ shrinks every survivor at the next step (which is what :class:`SparsityBudget` avoids).
    A reading of exactly 0 after a positive one is taken for a spurious reading and replaced by the last one.

    Args:
        initial_lambda: λ before the first step.
        target_sparsity: s*, share of zeros among the steered weights, in [0, 1].
        acceleration_factor: a ≥ 0; 0 keeps λ fixed.
        min_lambda, max_lambda: bounds of λ, 0 ≤ min ≤ max.

    The target is approached, not met: expect ±0.1 points. Use it where the published method is wanted; use
    ``SparsityBudget`` where the count must be exact. Source: the λ controller of adaptive Bregman training
    (Aloradi et al., arXiv 2605.07892, 2026, section on adaptive regularization).

    >>> scheduler = LambdaScheduler(initial_lambda=0.01, target_sparsity=0.9, acceleration_factor=0.25)
    >>> round(scheduler.step(0.5), 6)
    0.011
    >>> scheduler.step(0.9) == scheduler.lambda_value
    True
    """

    def __init__(
        self,
        initial_lambda: float = 1e-3,
        target_sparsity: float = 0.9,
        acceleration_factor: float = 0.25,
        min_lambda: float = 1e-6,
        max_lambda: float = 1e3,
    ) -> None:
        require_fraction("target_sparsity", target_sparsity)
        require_number("acceleration_factor", acceleration_factor, 0.0, LARGEST)
        require_number("min_lambda", min_lambda, 0.0, LARGEST)
        require_number("max_lambda", max_lambda, min_lambda, LARGEST)
        require_number("initial_lambda", initial_lambda, min_lambda, max_lambda)
        self.initial_lambda = initial_lambda
        self.target_sparsity = target_sparsity
        self.acceleration_factor = acceleration_factor
        self.min_lambda = min_lambda
        self.max_lambda = max_lambda
        self.lambda_value = initial_lambda
        self._last_sparsity: float | None = None

    def __repr__(self) -> str:
        """Return the call that makes an equal scheduler."""
        return (
            f"LambdaScheduler(initial_lambda={self.initial_lambda}, target_sparsity={self.target_sparsity}, "
            f"acceleration_factor={self.acceleration_factor}, min_lambda={self.min_lambda}, "
            f"max_lambda={self.max_lambda})"
        )

    def step(self, current_sparsity: float, last_sparsity: float | None = None) -> float:
        """Take one reading and return the new λ.

        Args:
            current_sparsity: measured share of zeros in [0, 1].
            last_sparsity: the reading before it, given once after a resume; otherwise the scheduler remembers.
        """
        require_fraction("current_sparsity", current_sparsity)
        if last_sparsity is not None:
            self._last_sparsity = last_sparsity
        spurious = current_sparsity == 0.0 and self._last_sparsity is not None
        reading = self._last_sparsity if spurious and self._last_sparsity is not None else current_sparsity
        raw = feedback(self.lambda_value, reading, self.target_sparsity, self.acceleration_factor)
        self.lambda_value = max(self.min_lambda, min(self.max_lambda, raw))
        if current_sparsity > 0.0:
            self._last_sparsity = current_sparsity
        return self.lambda_value

    def begin(self, optimizer: BregmanOptimizer) -> None:
        """Give the optimizer the initial λ before its first step, so that its duals start with it."""
        set_lambda(optimizer, self.lambda_value)

    def after_step(self, optimizer: BregmanOptimizer, step: int, progress: float) -> None:
        """Measure the steered weights and set λ for the next step."""
        reading = sparsity([member.parameter for member in optimizer.regularized()])
        set_lambda(optimizer, self.step(reading))

    def metrics(self) -> dict[str, float]:
        """Return λ."""
        return {"lambda": self.lambda_value}

    def get_state(self) -> dict[str, Any]:
        """Return λ, the last reading and the settings, as plain numbers."""
        names = ("target_sparsity", "acceleration_factor", "min_lambda", "max_lambda", "lambda_value", "_last_sparsity")
        return {name: getattr(self, name) for name in names}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take back what :meth:`get_state` returned; unknown or missing keys raise SettingError."""
        odd = set(state) ^ set(self.get_state())
        if odd:
            raise SettingError(f"the state of a LambdaScheduler has missing or unknown keys: {', '.join(sorted(odd))}")
        for name, value in state.items():
            setattr(self, name, value)

    def state_dict(self) -> dict[str, Any]:
        """Return :meth:`get_state`."""
        return self.get_state()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Call :meth:`load_state`."""
        self.load_state(state)
