"""BernoulliFilterPruner: each filter lives by the toss of a coin, and the living make up for the dead."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from prunus.criteria import Criterion, Random
from prunus.recipes.distiller.contract import Chosen, Remark, Rule, Scene, Verdict
from prunus.recipes.distiller.ranked import Ranking, keep_best
from prunus.recipes.distiller.structured import FILTERS, Gradual, Seeded, Settled
from prunus.select import Target
from prunus.window import Span


@dataclass(eq=False)
class Tossing(Ranking):
    """Keep each group whose draw is at least the level, one at least; scale them by groups / kept.

    >>> from prunus.structures import Filter
    >>> Tossing([], Filter(), lambda scene: 0.5).masks(Scene(0, 0.0, Span(0, 5)))
    {}
    """

    def flags(self, target: Target, scene: Scene) -> Tensor | None:
        """Toss for every group; nothing happens at level 0."""
        level = self.level(scene)
        if not level:
            return None
        scores = self.scores(target, scene)
        kept = scores >= level
        return kept if bool(kept.any()) else keep_best(scores, len(scores) - 1)

    def verdict(self, flags: Tensor, target: Target) -> Verdict:
        """Return mask and scale."""
        return Verdict(super().verdict(flags, target).mask, len(flags) / int(flags.count_nonzero()))


@dataclass(frozen=True, kw_only=True)
class Bernoulli(Seeded):
    """Base of the two: filters, a seed, and the tossing.

    >>> Bernoulli.group_types
    ('Filters', '3D')
    """

    group_types: ClassVar[Iterable[str]] = FILTERS
    tosses: ClassVar[bool] = True

    def fit(self, chosen: Chosen) -> Iterator[Remark]:
        """Say when the scale acts, and that one filter stays."""
        yield from super().fit(chosen)
        text = "the living are scaled by filters / living only with use_double_copies: true; one filter always stays"
        yield Remark(text, severity="notice")

    def criterion(self) -> Criterion:
        """Return uniform draws."""
        return Random()

    def rule(self, chosen: Chosen, span: Span, model: nn.Module) -> Rule:
        """Return the tossing."""
        led = self.group_dependency is not None
        return Tossing(chosen.all, self.structure, self.level(), led, self.criterion())


@dataclass(frozen=True, kw_only=True)
class BernoulliFilterPruner(Settled, Bernoulli):
    r"""Keep each filter with probability 1 - desired_sparsity, drawn anew at each call: DropFilter.

    .. math:: m_f \sim \mathrm{Bernoulli}(1 - s),\quad w_f \leftarrow m_f\, w_f\, n / \textstyle\sum_g m_g

    Args:
        group_type: Filters or 3D.
        desired_sparsity: the probability to drop a filter, in [0, 1].
        weights, group_dependency, seed: as for every ranked pruner, and of the draws.

    Raises:
        SettingError: as for every ranked pruner.

    The count of the dead is random; where Distiller would drop all and divide by zero, the highest draw stays. The
    factor n / kept acts only under ``use_double_copies``, which takes it back before the update; elsewhere it would
    multiply with each application. Without ``mask_on_forward_only`` the dead stay dead.
    Source: Pan et al. 2018 (arXiv:1811.06783).

    >>> BernoulliFilterPruner(group_type="Filters", desired_sparsity=0.5, weights="conv.weight", seed=3).generator_seed
    3
    """


@dataclass(frozen=True, kw_only=True)
class BernoulliFilterPruner_AGP(Gradual, Bernoulli):
    """Keep each filter with probability 1 - s(e), drawn anew at each call, s(e) as for AutomatedGradualPruner.

    Args:
        group_type: Filters or 3D.
        initial_sparsity, final_sparsity: probabilities at the first and at the last firing.
        weights, group_dependency, seed: as for BernoulliFilterPruner.

    Raises:
        SettingError: as for every ranked pruner, and where the sparsities do not rise.

    Source: as BernoulliFilterPruner, with the schedule of Zhu and Gupta 2017.

    >>> BernoulliFilterPruner_AGP(
    ...     group_type="Filters", initial_sparsity=0.1, final_sparsity=0.5, weights="conv.weight"
    ... ).gradual
    True
    """
