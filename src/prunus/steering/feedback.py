"""λ feedback: multiply λ while the model is too dense, divide it while it is too sparse."""

from __future__ import annotations

import math
from typing import ClassVar

from prunus.errors import SettingError, require_number
from prunus.steering import _advice
from prunus.steering._loop import LARGEST, FeedbackLoop

LOOKAHEAD = 60
"""Anti-windup looks so many readings ahead."""
BOOST = 2.0
"""Anti-windup answers a reading that runs away with this acceleration at most; more makes λ swing."""


def feedback(strength: float, current: float, target: float, acceleration: float) -> float:
    r"""Return the next λ: λ·f below the target, λ/f above it, with f = 1 + acceleration·\|s − target\|.

    >>> round(feedback(0.01, 0.5, 0.9, 0.25), 6)
    0.011
    """
    factor = 1.0 + acceleration * abs(current - target)
    if current < target:
        return strength * factor
    return strength / factor if current > target else strength


def foreseen(reading: float, change: float, target: float, acceleration: float) -> float:
    r"""Return the reading that anti-windup acts on, when the reading will have changed by ``change`` before long.

    It is the target, so that λ is held, when the reading crosses it by then; else where the reading will be, though no
    further from the target than lets f grow to 1 + max(a, BOOST)·\|s − target\|.

    >>> [round(foreseen(*seen, target=0.9, acceleration=0.25), 2) for seen in ((0.99, 0.0), (0.99, -0.2), (0.88, -0.1))]
    [0.99, 0.9, 0.78]
    """
    gap = reading - target
    ahead = gap + change
    if ahead * gap <= 0.0:
        return target
    most = abs(gap) * max(1.0, BOOST / acceleration) if acceleration else abs(gap)
    return target + math.copysign(min(abs(ahead), most), gap)


class LambdaScheduler(FeedbackLoop):
    r"""Drive λ so that the measured sparsity s approaches a target.

    After every optimizer step

    .. math:: \lambda \leftarrow \mathrm{clip}(\lambda f^{\pm 1}, \lambda_{min}, \lambda_{max}), \quad
              f = 1 + a\,|s - s^*|

    with ``+`` while s < s*, ``-`` while s > s*. Each steered group gets λ·lambda_scale; the dual variable is not
    touched, so a rise of λ shrinks every survivor at the next step (which is what :class:`SparsityBudget` avoids).
    A reading of exactly 0 after a positive one is taken for a spurious reading and replaced by the last one.

    Args:
        initial_lambda: λ before the first step. From far below where it ends, the climb costs accuracy at 95 % zeros
            and beyond; within a factor of three is near enough.
        target_sparsity: s*, share of zeros among the steered weights, in [0, 1]; a list gives one each epoch, the
            last one holds.
        acceleration_factor: a ≥ 0; 0 keeps λ fixed.
        min_lambda, max_lambda: bounds of λ, 0 ≤ min ≤ max.
        anti_windup: act on the reading foreseen for 60 readings on: hold λ while that lies across the target, and
            answer faster while the reading runs away. Without it λ goes on moving while the weights that will make
            good the gap are on their way, and overshoots.
        damping_zone: within this distance of the target, a is divided by ``damping``; 0 (default) damps nowhere.
        damping: divisor of a inside the zone, at least 1.
        update_frequency: readings from one update to the next.
        warmup_steps, warmup_epochs: λ rests at its initial value for so many readings and epochs.

    The target is approached, not met: expect ±0.1 points. Use it where the published method is wanted; use
    ``SparsityBudget`` where the count must be exact, ``QuantileLambda`` where λ should be the exact one at once.
    Epochs are those of ``epoch_begin``; a :class:`CompressionScheduler` calls it.

    Warns NoEffect, once for each bound, when λ has stopped there and the target is missed, when λ is 0, which no factor
    raises, and at the end of a run that misses its target by more than a point. Source: the λ controller of adaptive
    Bregman training (Aloradi et al., arXiv 2605.07892, 2026, section on adaptive regularization); anti-windup: prunus
    (docs/methods/lambda_steering.md).

    >>> scheduler = LambdaScheduler(initial_lambda=0.01, target_sparsity=0.9, acceleration_factor=0.25)
    >>> round(scheduler.step(0.5), 6)
    0.011
    >>> scheduler.step(0.9) == scheduler.lambda_value
    True
    """

    saved: ClassVar[tuple[str, ...]] = (*FeedbackLoop.saved, "acceleration_factor", "_last_sparsity")
    optional: ClassVar[tuple[str, ...]] = (
        *FeedbackLoop.optional,
        "anti_windup",
        "damping_zone",
        "damping",
        "update_frequency",
        "warmup_steps",
        "warmup_epochs",
        "reading_before",
    )

    def __init__(
        self,
        initial_lambda: float = 1e-3,
        target_sparsity: float | list[float] = 0.9,
        acceleration_factor: float = 0.25,
        min_lambda: float = 1e-6,
        max_lambda: float = 1e3,
        anti_windup: bool = False,
        damping_zone: float = 0.0,
        damping: float = 10.0,
        update_frequency: int = 1,
        warmup_steps: int = 0,
        warmup_epochs: int = 0,
    ) -> None:
        super().__init__(
            initial_lambda, target_sparsity, min_lambda, max_lambda, update_frequency, warmup_steps, warmup_epochs
        )
        require_number("acceleration_factor", acceleration_factor, 0.0, LARGEST)
        require_number("damping_zone", damping_zone, 0.0, 1.0)
        require_number("damping", damping, 1.0, LARGEST)
        if not isinstance(anti_windup, bool):
            raise SettingError(f"anti_windup is {anti_windup!r}, expected True or False")
        self.acceleration_factor = acceleration_factor
        self.anti_windup = anti_windup
        self.damping_zone = damping_zone
        self.damping = damping
        self.reading_before: float | None = None
        self._last_sparsity: float | None = None

    def _read(self, current: float, last: float | None) -> float:
        """Replace a spurious zero by the last positive reading, and remember."""
        if last is not None:
            self._last_sparsity = last
        if current == 0.0 and self._last_sparsity is not None:
            return self._last_sparsity
        self._last_sparsity = current
        return current

    def _next(self, reading: float, target: float) -> float:
        damped = abs(reading - target) < self.damping_zone
        acceleration = self.acceleration_factor / (self.damping if damped else 1.0)
        if self.anti_windup:
            horizon = max(1.0, LOOKAHEAD / self.update_frequency)
            change = horizon * (reading - (reading if self.reading_before is None else self.reading_before))
            self.reading_before, reading = reading, foreseen(reading, change, target, acceleration)
        following = feedback(self.lambda_value, reading, target, acceleration)
        if following == 0.0 and acceleration and self._reading is not None and self._reading < target:
            self._warn("zero", _advice.at_zero(self._reading, target))
        return following
