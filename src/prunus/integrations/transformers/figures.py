"""What an evaluation of Trainer found, as the figures of an epoch."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real

PREFIX = "eval_"
CLOCKS = ("_runtime", "_per_second", "_time")


def figures_of(metrics: Mapping[str, object]) -> dict[str, float]:
    """Return the numbers under the names that Trainer gives them and, as in other loops, without ``eval_``.

    The epoch and what was measured with a clock are left out.

    >>> figures_of({"eval_accuracy": 0.5, "eval_runtime": 3.2, "epoch": 1.0})
    {'eval_accuracy': 0.5, 'accuracy': 0.5}
    """
    kept = {
        name: float(value)
        for name, value in metrics.items()
        if isinstance(value, Real) and name != "epoch" and not name.endswith(CLOCKS)
    }
    return kept | {name.removeprefix(PREFIX): value for name, value in kept.items()}
