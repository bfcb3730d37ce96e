"""Additive λ: a fixed rate times what is missing to the target."""

from __future__ import annotations

from typing import ClassVar

from prunus.errors import require_number
from prunus.steering._loop import LARGEST, FeedbackLoop


class AdditiveLambda(FeedbackLoop):
    r"""Add to λ, every so many steps, a rate times the sparsity that is still missing.

    At every ``update_frequency``-th reading s

    .. math:: \lambda \leftarrow \mathrm{clip}(\lambda + r\,(s^* - s), \lambda_{min}, \lambda_{max})

    so λ rises below the target s*, falls above it and rests at it. Unlike :class:`LambdaScheduler` it moves in units
    of λ, not in shares of it: r must fit the scale of λ.

    Args:
        initial_lambda: λ before the first update.
        target_sparsity: s*, share of zeros in [0, 1]; a list gives one each epoch, the last one holds.
        lambda_update_rate: r ≥ 0, in units of λ for a gap of 1; 0 keeps λ fixed.
        update_frequency: readings from one update to the next; the first comes with reading number update_frequency.
        min_lambda, max_lambda: bounds of λ, 0 ≤ min ≤ max.

    It suits an L1 penalty in the loss, whose λ hardly depends on the learning rate. With the Bregman optimizers prefer
    :class:`LambdaScheduler` or :class:`SparsityBudget`: λ spans orders of magnitude there, and at the default rate it
    moves by 0.001 at most every 100 steps. ``last_sparsity`` of :meth:`step` is not used: no reading is replaced here.
    Source: the adaptive-λ callback of the speaker verification project (2025), which adds λ·Σ|w| to the loss.

    >>> controller = AdditiveLambda(initial_lambda=1.0, target_sparsity=0.8, update_frequency=1)
    >>> round(controller.step(0.12543), 8)
    1.00067457
    """

    saved: ClassVar[tuple[str, ...]] = (
        *FeedbackLoop.saved,
        "lambda_update_rate",
        "update_frequency",
        "steps",
    )
    optional: ClassVar[tuple[str, ...]] = ("epoch",)

    def __init__(
        self,
        initial_lambda: float = 1.0,
        target_sparsity: float | list[float] = 0.8,
        lambda_update_rate: float = 0.001,
        update_frequency: int = 100,
        min_lambda: float = 1e-4,
        max_lambda: float = 100.0,
    ) -> None:
        require_number("lambda_update_rate", lambda_update_rate, 0.0, LARGEST)
        super().__init__(initial_lambda, target_sparsity, min_lambda, max_lambda, update_frequency)
        self.lambda_update_rate = lambda_update_rate

    def _next(self, reading: float, target: float) -> float:
        return self.lambda_value + self.lambda_update_rate * (target - reading)
