"""Cosine: leave gently, arrive gently."""

from __future__ import annotations

import math
from dataclasses import dataclass

from prunus.errors import require_fraction
from prunus.schedules.base import Schedule, between


def cosine(progress: float, initial: float, final: float) -> float:
    """Return the level at ``progress`` of half a cosine wave from ``initial`` to ``final``.

    >>> round(cosine(0.5, 0.3, 0.0), 12)
    0.15
    """
    return between(final + (initial - final) * (1.0 + math.cos(math.pi * progress)) / 2.0, initial, final)


@dataclass(frozen=True)
class Cosine(Schedule):
    r"""Follow half a cosine wave, flat at both ends.

    .. math:: s(p) = s_1 + \tfrac12 (s_0 - s_1)(1 + \cos \pi p)

    Parameters: ``final`` and ``initial`` (default 0) in [0, 1].
    Errors: SettingError for a level outside [0, 1].
    Use it falling, for the fraction that :class:`Rewire` moves and for learning rates; for sparsity, :class:`Cubic`
    prunes earlier, while weights are redundant.
    Source: Loshchilov and Hutter 2017 (arXiv:1608.03983), equation 5; Evci et al. 2020 (arXiv:1911.11134),
    section 3 (2), for the fraction that is moved.

    >>> decay = Cosine(final=0.0, initial=0.4)
    >>> [round(decay(p), 4) for p in (0.0, 0.25, 0.5, 0.75, 1.0)]
    [0.4, 0.3414, 0.2, 0.0586, 0.0]
    """

    final: float
    initial: float = 0.0

    def __post_init__(self) -> None:
        """Refuse levels outside [0, 1]."""
        require_fraction("final", self.final)
        require_fraction("initial", self.initial)

    def _level(self, progress: float) -> float:
        return cosine(progress, self.initial, self.final)
