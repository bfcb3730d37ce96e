"""SparsityLevelParameterPruner: single weights, a fixed share of each parameter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from torch import nn

from prunus.errors import require_fraction
from prunus.recipes.distiller.contract import Chosen, Pruner, Remark, Rule, Scene, Verdict
from prunus.recipes.distiller.keyed import ALL, by_target, fit_all, named_in, require_values
from prunus.recipes.distiller.ranked import Level, Ranking
from prunus.structures import Element
from prunus.window import Span


@dataclass(eq=False)
class Together(Rule):
    """Several rules as one; they must keep no state.

    >>> Together([]).masks(Scene(0, 0.0, Span(0, 5)))
    {}
    """

    rules: list[Ranking]

    def masks(self, scene: Scene) -> Mapping[str, Verdict]:
        """Return the verdicts of all."""
        return {name: verdict for rule in self.rules for name, verdict in rule.masks(scene).items()}


@dataclass(frozen=True)
class SparsityLevelParameterPruner(Pruner):
    """Drop the ⌊level·n⌋ smallest weights of each parameter by itself.

    Args:
        levels: shares by parameter name, in [0, 1]; ``*`` means every other parameter, biases and norms too. A level
            of 0 leaves the parameter alone. A policy's own ``levels`` come in their place.

    Raises:
        SettingError: a level outside [0, 1], or none at all.

    Weights that are zero already count among the smallest, so a lower level brings nothing back before an update does.
    Source: Distiller.

    >>> SparsityLevelParameterPruner({"conv.weight": 0.5, "fc.weight": 0.9}).names
    ('conv.weight', 'fc.weight')
    """

    levels: Mapping[str, float]

    def __post_init__(self) -> None:
        require_values("levels", self.levels, require_fraction)

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters with a level of their own."""
        return named_in(self.levels)

    @property
    def everything(self) -> bool:
        """Whether there is a level for all others."""
        return ALL in self.levels

    def fit(self, chosen: Chosen) -> Iterator[Remark]:
        """Say what ``*`` means."""
        yield from fit_all(self.levels, chosen)

    def rule(self, chosen: Chosen, span: Span, model: nn.Module) -> Rule:
        """Return a ranking of single weights for each parameter."""
        levels = by_target(self.levels, chosen)
        return Together([Ranking([target], Element(), _always(levels[target.name])) for target in chosen.all])


def _always(level: float) -> Level:
    return lambda scene: level
