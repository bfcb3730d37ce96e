"""A staircase of levels written down one by one."""

from __future__ import annotations

import math
from dataclasses import dataclass

from prunus.errors import SettingError, require_fraction
from prunus.schedules.base import Schedule

# progress is a quotient of whole numbers: 29 / 100 * 100 is 28.999999999999996 and must still be stair 29
ROUNDING = 1e-9


def stair(progress: float, count: int) -> int:
    """Return which of ``count`` equal stairs ``progress`` stands on, the last one at progress 1.

    >>> [stair(p, 3) for p in (0.0, 0.33, 0.34, 0.7, 1.0)]
    [0, 0, 1, 2, 2]
    """
    return min(count - 1, math.floor(progress * count + ROUNDING))


@dataclass(frozen=True)
class Levels(Schedule):
    r"""Hold each of k levels for an equal share of the window.

    .. math:: s(p) = l_{\min(k - 1, \lfloor p k \rfloor)}

    Parameters: ``levels``, at least one fraction in [0, 1]; with as many firings as levels each is used once. A list is
    stored as a tuple.
    Errors: SettingError for no level, or one outside [0, 1].
    Use it for schedules found by hand or by search. Falling levels are allowed (``monotone`` is then False).
    Source: the level lists of Distiller's SparsityLevelParameterPruner, spread over a window.

    >>> steps = Levels((0.5, 0.7, 0.9))
    >>> steps(0.0), steps(0.5), steps(1.0), steps.monotone
    (0.5, 0.7, 0.9, True)
    """

    levels: tuple[float, ...]

    def __post_init__(self) -> None:
        """Refuse an empty staircase and levels outside [0, 1]."""
        _require_some(self.levels)
        object.__setattr__(self, "levels", tuple(self.levels))
        for i, level in enumerate(self.levels):
            require_fraction(f"levels[{i}]", level)

    @property
    def initial(self) -> float:
        """The first level."""
        return self.levels[0]

    @property
    def final(self) -> float:
        """The last level."""
        return self.levels[-1]

    @property
    def monotone(self) -> bool:
        """True when no level is below the one before it."""
        return list(self.levels) == sorted(self.levels)

    def _level(self, progress: float) -> float:
        return self.levels[stair(progress, len(self.levels))]


def _require_some(levels: object) -> None:
    if not isinstance(levels, (tuple, list)) or not levels:
        raise SettingError(f"levels is {levels!r}, expected at least one fraction, such as (0.5, 0.7, 0.9)")
