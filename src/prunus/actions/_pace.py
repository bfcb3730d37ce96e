"""How fast something goes that a metric may stop: plain numbers, one rule."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Mode = Literal["max", "min"]
"""Whether more of a metric is better ("max", accuracy) or less ("min", loss)."""
MODES = ("max", "min")
ROUNDING = 1e-9  # ten steps of 0.1 add up to 0.9999999999999999


@dataclass
class Pace:
    """How far something has come and what is known of its metric: every field is saved.

    ``progress`` goes from 0 to 1 in ``step``; ``value`` is the metric that is not judged yet, ``best`` the best so
    far, NaN left out. ``waited`` counts the firings out of the budget in a row, ``held`` all of them, ``fired`` and
    ``seen`` firings and metrics.

    >>> pace = Pace(step=0.5)
    >>> pace.move(budget=0.1)  # the first firing begins, at 0
    >>> pace.take(0.9)
    >>> pace.move(budget=0.1)
    >>> pace.take(0.7)
    >>> pace.move(budget=0.1)
    >>> pace.progress, pace.step
    (0.5, 0.25)
    """

    step: float
    progress: float = 0.0
    waited: int = 0
    fired: int = 0
    held: int = 0
    seen: int = 0
    value: float | None = None
    best: float | None = None

    def take(self, value: float, mode: Mode = "max") -> None:
        """Take note of a metric."""
        self.seen += 1
        self.value = value
        if not math.isnan(value):
            better = max if mode == "max" else min
            self.best = value if self.best is None else better(value, self.best)

    def move(
        self,
        budget: float,
        mode: Mode = "max",
        back_off: float = 0.5,
        patience: int = 0,
        reference: float | None = None,
    ) -> None:
        """Move on, or hold and slow down, by the metric taken since the last call; hold when there was none."""
        if self.fired and self.value is not None:
            goal = self.best if reference is None else reference
            self._judge(goal is not None and _within(self.value, goal, budget, mode), back_off, patience)
        self.fired += 1
        self.value = None

    def _judge(self, within: bool, back_off: float, patience: int) -> None:
        if within:
            self.waited = 0
            moved = self.progress + self.step
            self.progress = 1.0 if moved > 1.0 - ROUNDING else moved
            return
        self.waited += 1
        self.held += 1
        if self.waited == patience + 1:
            self.step *= back_off


def _within(value: float, goal: float, budget: float, mode: Mode) -> bool:
    """Say whether a metric is within the budget; NaN is not."""
    return value >= goal - budget if mode == "max" else value <= goal + budget
