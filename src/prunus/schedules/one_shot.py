"""One cut: the final level at once."""

from __future__ import annotations

from dataclasses import dataclass

from prunus.errors import require_fraction
from prunus.schedules.base import Schedule


@dataclass(frozen=True)
class OneShot(Schedule):
    r"""Hold one level from the first firing to the last.

    .. math:: s(p) = s_1

    Parameters: ``final`` in [0, 1].
    Errors: SettingError for a level outside [0, 1].
    Use it for a single cut, or to press the same sparsity again at every firing. High sparsities lose less with a ramp.
    Source: Han et al. 2015 (arXiv:1506.02626), one cut and retraining.

    >>> cut = OneShot(0.9)
    >>> cut(0.0), cut(0.3), cut(1.0)
    (0.9, 0.9, 0.9)
    """

    final: float

    def __post_init__(self) -> None:
        """Refuse a level outside [0, 1]."""
        require_fraction("final", self.final)

    @property
    def initial(self) -> float:
        """Level at progress 0, which is the final one."""
        return self.final

    def _level(self, progress: float) -> float:
        return self.final
