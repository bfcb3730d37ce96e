"""The classes of the section ``pruners``, by the names of the files."""

from prunus.recipes.distiller.contract import Pruner
from prunus.recipes.distiller.pruners.activation_ranked import (
    ActivationAPoZRankedFilterPruner,
    ActivationAPoZRankedFilterPruner_AGP,
    ActivationMeanRankedFilterPruner,
    ActivationMeanRankedFilterPruner_AGP,
)
from prunus.recipes.distiller.pruners.agp import (
    AutomatedGradualPruner,
)
from prunus.recipes.distiller.pruners.baidu_rnn import (
    BaiduRNNPruner,
)
from prunus.recipes.distiller.pruners.bernoulli import (
    BernoulliFilterPruner,
    BernoulliFilterPruner_AGP,
)
from prunus.recipes.distiller.pruners.gradient_ranked import (
    GradientRankedFilterPruner,
    GradientRankedFilterPruner_AGP,
)
from prunus.recipes.distiller.pruners.l1_ranked import (
    L1RankedStructureParameterPruner,
    L1RankedStructureParameterPruner_AGP,
)
from prunus.recipes.distiller.pruners.l2_ranked import (
    L2RankedStructureParameterPruner,
    L2RankedStructureParameterPruner_AGP,
)
from prunus.recipes.distiller.pruners.level import (
    SparsityLevelParameterPruner,
)
from prunus.recipes.distiller.pruners.magnitude import (
    MagnitudeParameterPruner,
)
from prunus.recipes.distiller.pruners.random_level import (
    RandomLevelStructureParameterPruner,
)
from prunus.recipes.distiller.pruners.random_ranked import (
    RandomRankedFilterPruner,
    RandomRankedFilterPruner_AGP,
)
from prunus.recipes.distiller.pruners.sensitivity import (
    SensitivityPruner,
)
from prunus.recipes.distiller.pruners.splicing import (
    SplicingPruner,
)
from prunus.recipes.distiller.pruners.structure import (
    StructureParameterPruner,
)

PRUNERS: dict[str, type[Pruner]] = {
    "ActivationAPoZRankedFilterPruner": ActivationAPoZRankedFilterPruner,
    "ActivationAPoZRankedFilterPruner_AGP": ActivationAPoZRankedFilterPruner_AGP,
    "ActivationMeanRankedFilterPruner": ActivationMeanRankedFilterPruner,
    "ActivationMeanRankedFilterPruner_AGP": ActivationMeanRankedFilterPruner_AGP,
    "AutomatedGradualPruner": AutomatedGradualPruner,
    "BaiduRNNPruner": BaiduRNNPruner,
    "BernoulliFilterPruner": BernoulliFilterPruner,
    "BernoulliFilterPruner_AGP": BernoulliFilterPruner_AGP,
    "GradientRankedFilterPruner": GradientRankedFilterPruner,
    "GradientRankedFilterPruner_AGP": GradientRankedFilterPruner_AGP,
    "L1RankedStructureParameterPruner": L1RankedStructureParameterPruner,
    "L1RankedStructureParameterPruner_AGP": L1RankedStructureParameterPruner_AGP,
    "L2RankedStructureParameterPruner": L2RankedStructureParameterPruner,
    "L2RankedStructureParameterPruner_AGP": L2RankedStructureParameterPruner_AGP,
    "MagnitudeParameterPruner": MagnitudeParameterPruner,
    "RandomLevelStructureParameterPruner": RandomLevelStructureParameterPruner,
    "RandomRankedFilterPruner": RandomRankedFilterPruner,
    "RandomRankedFilterPruner_AGP": RandomRankedFilterPruner_AGP,
    "SensitivityPruner": SensitivityPruner,
    "SparsityLevelParameterPruner": SparsityLevelParameterPruner,
    "SplicingPruner": SplicingPruner,
    "StructureParameterPruner": StructureParameterPruner,
}

__all__ = [
    "PRUNERS",
    "ActivationAPoZRankedFilterPruner",
    "ActivationAPoZRankedFilterPruner_AGP",
    "ActivationMeanRankedFilterPruner",
    "ActivationMeanRankedFilterPruner_AGP",
    "AutomatedGradualPruner",
    "BaiduRNNPruner",
    "BernoulliFilterPruner",
    "BernoulliFilterPruner_AGP",
    "GradientRankedFilterPruner",
    "GradientRankedFilterPruner_AGP",
    "L1RankedStructureParameterPruner",
    "L1RankedStructureParameterPruner_AGP",
    "L2RankedStructureParameterPruner",
    "L2RankedStructureParameterPruner_AGP",
    "MagnitudeParameterPruner",
    "RandomLevelStructureParameterPruner",
    "RandomRankedFilterPruner",
    "RandomRankedFilterPruner_AGP",
    "SensitivityPruner",
    "SparsityLevelParameterPruner",
    "SplicingPruner",
    "StructureParameterPruner",
]
