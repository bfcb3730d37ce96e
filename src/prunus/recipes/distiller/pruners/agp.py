"""AutomatedGradualPruner: single weights, along the cubic of Zhu and Gupta."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from prunus.recipes.distiller.contract import Chosen, Pruner, Remark, Rule
from prunus.recipes.distiller.names import as_names
from prunus.recipes.distiller.ranked import Ranking
from prunus.recipes.distiller.rising import cubic_level, require_rise, require_two_firings
from prunus.structures import Element
from prunus.window import Span


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
        return Ranking(chosen.all, Element(), level)
