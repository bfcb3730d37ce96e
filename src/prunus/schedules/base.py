"""What every schedule shares: progress is checked and clamped once, and both ends are met exactly."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from prunus.errors import SettingError


class Schedule(ABC):
    """A pure function of progress in [0, 1] to a level in [0, 1], most often a sparsity.

    Members are frozen dataclasses that write ``_level`` for progress strictly between 0 and 1; this base clamps
    progress (past the window the final level holds) and returns ``initial`` and ``final`` themselves at the two ends.
    Errors: SettingError when progress is not a number.

    >>> from prunus.schedules import Linear
    >>> ramp = Linear(final=0.8)
    >>> ramp(-1), ramp(0.5), ramp(1), ramp(7)
    (0.0, 0.4, 0.8, 0.8)
    """

    if TYPE_CHECKING:  # members provide these two as fields or properties

        @property
        def initial(self) -> float:
            """Level at progress 0."""

        @property
        def final(self) -> float:
            """Level at progress 1."""

    @property
    def monotone(self) -> bool:
        """True when the level never falls, which masks that may only tighten need."""
        return self.final >= self.initial

    def __call__(self, progress: float) -> float:
        """Return the level at ``progress``."""
        _require_progress(progress)
        if progress <= 0.0:
            return float(self.initial)
        return float(self.final if progress >= 1.0 else self._level(progress))

    @abstractmethod
    def _level(self, progress: float) -> float:
        """Return the level strictly inside the window."""


def _require_progress(value: object) -> None:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or math.isnan(value):
        raise SettingError(f"progress is {value!r}, expected a number from 0 (first firing) to 1 (last firing)")


def between(value: float, one: float, other: float) -> float:
    """Clamp ``value`` into the interval of two levels, so that rounding never overshoots an end.

    >>> between(0.8000000000000002, 0.2, 0.8), between(0.5, 0.8, 0.2)
    (0.8, 0.5)
    """
    return min(max(value, min(one, other)), max(one, other))
