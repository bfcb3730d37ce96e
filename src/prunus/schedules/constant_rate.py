"""Geometric decay of what remains: the same share of the survivors at every firing."""

from __future__ import annotations

from dataclasses import dataclass

from prunus.errors import require_fraction
from prunus.schedules.base import Schedule, between

SMALLEST_DENSITY = 1e-9


def constant_rate(progress: float, initial: float, final: float) -> float:
    """Return the sparsity at ``progress`` when the density decays geometrically between the two ends.

    Densities are floored at 1e-9: no geometric decay reaches zero.

    >>> constant_rate(0.5, 0.0, 0.75)
    0.5
    """
    start, end = max(1.0 - initial, SMALLEST_DENSITY), max(1.0 - final, SMALLEST_DENSITY)
    return between(1.0 - start * (end / start) ** progress, initial, final)


@dataclass(frozen=True)
class ConstantRate(Schedule):
    r"""Remove the same share of what remains at every firing.

    .. math:: s(p) = 1 - (1 - s_0) \left(\frac{1 - s_1}{1 - s_0}\right)^{p}

    Parameters: ``final`` and ``initial`` (default 0) in [0, 1]. A level of 1 counts as a density of 1e-9 inside the
    ramp and is met exactly at its end.
    Errors: SettingError for a level outside [0, 1].
    Use it for prune and retrain cycles ("20 % of the remaining weights"), not for ``final=1``: most is gone at once.
    Source: Frankle and Carbin 2019 (arXiv:1803.03635), section 2; PruningScheduler, "constant".

    >>> ramp = ConstantRate(final=0.488)
    >>> [round(ramp(cycle / 3), 3) for cycle in range(4)]
    [0.0, 0.2, 0.36, 0.488]
    """

    final: float
    initial: float = 0.0

    def __post_init__(self) -> None:
        """Refuse levels outside [0, 1]."""
        require_fraction("final", self.final)
        require_fraction("initial", self.initial)

    def _level(self, progress: float) -> float:
        return constant_rate(progress, self.initial, self.final)
