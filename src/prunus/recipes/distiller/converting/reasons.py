"""Classes that have no native equivalent: why, and what comes near."""

from __future__ import annotations

from collections.abc import Mapping

from prunus.recipes.distiller.contract import Component, Extension, LRScheduler
from prunus.recipes.distiller.converting.parts import Refusal
from prunus.recipes.distiller.pruners import (
    BaiduRNNPruner,
    MagnitudeParameterPruner,
    RandomLevelStructureParameterPruner,
    SensitivityPruner,
    SplicingPruner,
    StructureParameterPruner,
)
from prunus.recipes.distiller.pruners.activation_ranked import ActivationRanked
from prunus.recipes.distiller.pruners.bernoulli import Bernoulli
from prunus.recipes.distiller.pruners.gradient_ranked import GradientRanked
from prunus.recipes.distiller.pruners.random_ranked import Lottery
from prunus.recipes.distiller.regularizers import GroupLassoRegularizer, GroupVarianceRegularizer

THRESHOLD = Refusal(
    "a threshold decides how many weights go, and native policies prune to a sparsity",
    "See what sparsity it comes to, and prune to that with criterion magnitude.",
)
REASONS: Mapping[type[Component], Refusal] = {
    ActivationRanked: Refusal("no native criterion reads activations", "Criterion taylor comes near."),
    BaiduRNNPruner: THRESHOLD,
    Bernoulli: Refusal("nothing native drops filters anew at each call", "Criterion random drops them for good."),
    Extension: Refusal("no native action takes weights out of the model"),
    GradientRanked: Refusal(
        "no native criterion counts strongly negative products as little", "Criterion taylor takes their size."
    ),
    GroupLassoRegularizer: Refusal(
        "the native group_lasso charges λ·√n for a group of n weights, and this class λ",
        "Regularizer group_lasso with λ/√n charges the same, up to rounding.",
    ),
    GroupVarianceRegularizer: Refusal("no native regularizer rewards variance among channels"),
    LRScheduler: Refusal("its rates depend on more than the epoch", "Use a scheduler of torch.optim.lr_scheduler."),
    Lottery: Refusal("criterion random draws other numbers", "Where the draws do not matter, take criterion random."),
    MagnitudeParameterPruner: THRESHOLD,
    RandomLevelStructureParameterPruner: Refusal("no native schedule draws its levels"),
    SensitivityPruner: THRESHOLD,
    SplicingPruner: Refusal("no native action brings weights back by a threshold", "Action rewire comes near."),
    StructureParameterPruner: THRESHOLD,
}
"""By class, or by the base of several."""
