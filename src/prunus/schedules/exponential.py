"""Geometric growth of the sparsity: small first cuts, large last ones."""

from __future__ import annotations

from dataclasses import dataclass

from prunus.errors import SettingError, require_fraction
from prunus.schedules.base import Schedule, between


def exponential(progress: float, initial: float, final: float) -> float:
    """Return the level at ``progress`` of geometric growth from ``initial`` to ``final``, both above 0.

    >>> round(exponential(0.5, 0.2, 0.8), 12)
    0.4
    """
    return between(initial * (final / initial) ** progress, initial, final)


@dataclass(frozen=True)
class Exponential(Schedule):
    r"""Multiply the level by the same factor at every firing.

    .. math:: s(p) = s_0 \left(\frac{s_1}{s_0}\right)^{p}

    Parameters: ``final`` and ``initial`` in (0, 1]; neither may be 0, for nothing grows out of zero.
    Errors: SettingError for a level of 0 or outside [0, 1].
    Use it to repeat prune and retrain runs written with these levels; it cuts most at the end, when least can be
    spared, where :class:`Cubic` cuts least.
    Source: iterative magnitude pruning over T rounds, with p = (i + 1) / T for round i.

    >>> ramp = Exponential(final=0.8, initial=0.2)
    >>> [round(ramp((i + 1) / 5), 4) for i in range(5)]
    [0.2639, 0.3482, 0.4595, 0.6063, 0.8]
    """

    final: float
    initial: float

    def __post_init__(self) -> None:
        """Refuse levels of 0 and outside [0, 1]."""
        for name, level in (("final", self.final), ("initial", self.initial)):
            require_fraction(name, level)
            if level == 0:
                raise SettingError(f"{name} is {level!r}, expected more than 0: no factor grows out of zero; try Cubic")

    def _level(self, progress: float) -> float:
        return exponential(progress, self.initial, self.final)
