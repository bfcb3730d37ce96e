"""The classes of the section ``pruners``, by the names of the files."""

from prunus.recipes.distiller.contract import Pruner
from prunus.recipes.distiller.pruners.agp import AutomatedGradualPruner
from prunus.recipes.distiller.pruners.l1_ranked import L1RankedStructureParameterPruner

PRUNERS: dict[str, type[Pruner]] = {
    "AutomatedGradualPruner": AutomatedGradualPruner,
    "L1RankedStructureParameterPruner": L1RankedStructureParameterPruner,
}

__all__ = ["PRUNERS", "AutomatedGradualPruner", "L1RankedStructureParameterPruner"]
