"""The classes of the section ``regularizers``, by the names of the files."""

from prunus.recipes.distiller.contract import Regularizer
from prunus.recipes.distiller.regularizers.group_lasso import GroupLassoRegularizer
from prunus.recipes.distiller.regularizers.group_variance import GroupVarianceRegularizer
from prunus.recipes.distiller.regularizers.l1 import L1Regularizer

REGULARIZERS: dict[str, type[Regularizer]] = {
    "GroupLassoRegularizer": GroupLassoRegularizer,
    "GroupVarianceRegularizer": GroupVarianceRegularizer,
    "L1Regularizer": L1Regularizer,
}

__all__ = [
    "REGULARIZERS",
    "GroupLassoRegularizer",
    "GroupVarianceRegularizer",
    "L1Regularizer",
]
