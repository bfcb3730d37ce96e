"""Sparsities that rise over the window of a policy, along the cubic of Zhu and Gupta."""

from __future__ import annotations

from collections.abc import Iterator

from prunus.errors import SettingError, require_fraction
from prunus.recipes.distiller.contract import Remark
from prunus.recipes.distiller.ranked import Level
from prunus.schedules import Cubic
from prunus.window import Span


def require_rise(initial_sparsity: float, final_sparsity: float) -> None:
    """Raise SettingError unless both are fractions and the final one is the larger.

    >>> require_rise(0.5, 0.4)
    Traceback (most recent call last):
        ...
    prunus.errors.SettingError: final_sparsity is 0.4, expected more than initial_sparsity 0.5
    """
    require_fraction("initial_sparsity", initial_sparsity)
    require_fraction("final_sparsity", final_sparsity)
    if final_sparsity <= initial_sparsity:
        raise SettingError(
            f"final_sparsity is {final_sparsity}, expected more than initial_sparsity {initial_sparsity}"
        )


def require_two_firings(span: Span) -> Iterator[Remark]:
    """Yield an error for a window in which a gradual pruner has no way to go.

    >>> [remark.severity for remark in require_two_firings(Span(0, 5, frequency=5))]
    ['error']
    """
    if len(span.firings()) < 2:
        yield Remark(f"gradual pruning needs at least 2 firings, this policy fires only in epoch {span.start}")


def cubic_level(initial_sparsity: float, final_sparsity: float) -> Level:
    """Return the level s(e) = s_f + (s_i - s_f)(1 - progress)³ as a function of the scene.

    >>> from prunus.recipes.distiller.contract import Scene
    >>> cubic_level(0.05, 0.8)(Scene(36, 1.0, Span(0, 38, 2)))
    0.8
    """
    schedule = Cubic(final_sparsity, initial_sparsity)
    return lambda scene: schedule(scene.progress)
