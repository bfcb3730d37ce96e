"""AutomatedGradualPruner: single weights, along the cubic of Zhu and Gupta."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from prunus.criteria import Magnitude
from prunus.errors import SettingError, require_fraction
from prunus.recipes.distiller.contract import Chosen, Pruner, Remark, Rule
from prunus.recipes.distiller.names import as_names
from prunus.recipes.distiller.ranked import Level, Ranking
from prunus.schedules import Cubic
from prunus.structures import Element
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


@dataclass(frozen=True)
class AutomatedGradualPruner(Pruner):
    r"""Drop the ⌊s(e)·n⌋ smallest weights of each parameter by itself.

    .. math:: s(e) = s_f + (s_i - s_f)\Big(1 - \frac{e - start}{span}\Big)^3,\quad
              span = \Big\lfloor\frac{end - start - 1}{frequency}\Big\rfloor \cdot frequency

    Args:
        initial_sparsity: at the first firing, in [0, 1].
        final_sparsity: at the last firing, above the initial one.
        weights: parameter names; one name alone is fine.

    Raises:
        SettingError: the sparsities do not rise, or there is no parameter.

    Where no weight goes yet (⌊s·n⌋ = 0) nothing happens, where Distiller stops. Source: Zhu and Gupta 2017.

    >>> AutomatedGradualPruner(0.05, 0.8, "fc.weight").names
    ('fc.weight',)
    """

    gradual: ClassVar[bool] = True

    initial_sparsity: float
    final_sparsity: float
    weights: str | tuple[str, ...]

    def __post_init__(self) -> None:
        require_rise(self.initial_sparsity, self.final_sparsity)
        as_names("weights", self.weights)

    @property
    def names(self) -> tuple[str, ...]:
        """The weights."""
        return as_names("weights", self.weights)

    def fit_window(self, span: Span) -> Iterator[Remark]:
        """Refuse a window with one firing."""
        yield from require_two_firings(span)

    def rule(self, chosen: Chosen, span: Span, model: nn.Module) -> Rule:
        """Return the ranking of single weights by absolute value."""
        level = cubic_level(self.initial_sparsity, self.final_sparsity)
        return Ranking(chosen.all, Magnitude(), Element(), level)
