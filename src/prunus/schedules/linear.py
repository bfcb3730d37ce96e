"""Straight ramp: the same amount at every firing."""

from __future__ import annotations

from dataclasses import dataclass

from prunus.errors import require_fraction
from prunus.schedules.base import Schedule, between


def linear(progress: float, initial: float, final: float) -> float:
    """Return the point at ``progress`` of the straight line from ``initial`` to ``final``.

    >>> linear(0.25, 0.0, 0.8)
    0.2
    """
    return between(initial + (final - initial) * progress, initial, final)


@dataclass(frozen=True)
class Linear(Schedule):
    r"""Raise the level by the same amount at every firing.

    .. math:: s(p) = s_0 + (s_1 - s_0)\, p

    Parameters: ``final`` and ``initial`` (default 0) in [0, 1].
    Errors: SettingError for a level outside [0, 1].
    Use it as the plain ramp; towards the end it takes an ever larger share of what remains, which :class:`Cubic` and
    :class:`ConstantRate` avoid.
    Source: the linear ramp of sparse speaker-verification training (PruningScheduler, "linear").

    >>> ramp = Linear(final=0.9, initial=0.1)
    >>> ramp(0.0), ramp(0.5), ramp(1.0)
    (0.1, 0.5, 0.9)
    """

    final: float
    initial: float = 0.0

    def __post_init__(self) -> None:
        """Refuse levels outside [0, 1]."""
        require_fraction("final", self.final)
        require_fraction("initial", self.initial)

    def _level(self, progress: float) -> float:
        return linear(progress, self.initial, self.final)
