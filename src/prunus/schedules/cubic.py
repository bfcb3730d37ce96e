"""Cubic ramp (AGP): prune fast while weights are redundant, gently as they run out."""

from __future__ import annotations

from dataclasses import dataclass

from prunus.errors import require_fraction
from prunus.schedules.base import Schedule, between


def cubic(progress: float, initial: float, final: float) -> float:
    """Return the level at ``progress`` of the cubic that leaves ``initial`` fast and reaches ``final`` flat.

    >>> cubic(0.5, 0.0, 1.0)
    0.875
    """
    left = 1.0 - progress
    return between(final - (final - initial) * (left * left * left), initial, final)


@dataclass(frozen=True)
class Cubic(Schedule):
    r"""Follow the automated gradual pruning curve.

    .. math:: s(p) = s_1 + (s_0 - s_1)(1 - p)^3

    Parameters: ``final`` and ``initial`` (default 0) in [0, 1].
    Errors: SettingError for a level outside [0, 1].
    Use it by default for pruning while training; leave a stretch of training after the window for recovery.
    Source: Zhu and Gupta 2017 (arXiv:1710.01878), section 3, equation 1.

    >>> ramp = Cubic(final=0.8)
    >>> [round(ramp(p), 4) for p in (0.0, 0.25, 0.5, 0.75, 1.0)]
    [0.0, 0.4625, 0.7, 0.7875, 0.8]
    """

    final: float
    initial: float = 0.0

    def __post_init__(self) -> None:
        """Refuse levels outside [0, 1]."""
        require_fraction("final", self.final)
        require_fraction("initial", self.initial)

    def _level(self, progress: float) -> float:
        return cubic(progress, self.initial, self.final)
