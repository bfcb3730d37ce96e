"""The classes of the section ``lr_schedulers``, by the names of the files."""

from collections.abc import Mapping

from prunus.recipes.distiller.contract import LRScheduler
from prunus.recipes.distiller.lr_schedulers.constant import ConstantLR
from prunus.recipes.distiller.lr_schedulers.cosine import CosineAnnealingLR
from prunus.recipes.distiller.lr_schedulers.cyclic import CyclicLR
from prunus.recipes.distiller.lr_schedulers.exponential import ExponentialLR
from prunus.recipes.distiller.lr_schedulers.lambda_ import LambdaLR
from prunus.recipes.distiller.lr_schedulers.linear import LinearLR
from prunus.recipes.distiller.lr_schedulers.multi_gamma import MultiStepMultiGammaLR
from prunus.recipes.distiller.lr_schedulers.multi_step import MultiStepLR
from prunus.recipes.distiller.lr_schedulers.multiplicative import MultiplicativeLR
from prunus.recipes.distiller.lr_schedulers.one_cycle import OneCycleLR
from prunus.recipes.distiller.lr_schedulers.plateau import ReduceLROnPlateau
from prunus.recipes.distiller.lr_schedulers.polynomial import PolynomialLR
from prunus.recipes.distiller.lr_schedulers.step import StepLR
from prunus.recipes.distiller.lr_schedulers.warm_restarts import CosineAnnealingWarmRestarts

LR_SCHEDULERS: dict[str, type[LRScheduler]] = {
    "ConstantLR": ConstantLR,
    "CosineAnnealingLR": CosineAnnealingLR,
    "CosineAnnealingWarmRestarts": CosineAnnealingWarmRestarts,
    "CyclicLR": CyclicLR,
    "ExponentialLR": ExponentialLR,
    "LambdaLR": LambdaLR,
    "LinearLR": LinearLR,
    "MultiStepLR": MultiStepLR,
    "MultiStepMultiGammaLR": MultiStepMultiGammaLR,
    "MultiplicativeLR": MultiplicativeLR,
    "OneCycleLR": OneCycleLR,
    "PolynomialLR": PolynomialLR,
    "ReduceLROnPlateau": ReduceLROnPlateau,
    "StepLR": StepLR,
}

REFUSED: Mapping[str, str] = {
    "ChainedScheduler": "takes schedulers, which a file cannot hand over; write their product, as LambdaLR in code",
    "SequentialLR": "takes schedulers, which a file cannot hand over; give each a policy of its own, in epochs apart",
}
"""The classes of torch that Distiller could not make from a file either, and what to write instead."""

__all__ = [
    "LR_SCHEDULERS",
    "REFUSED",
    "ConstantLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "CyclicLR",
    "ExponentialLR",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "MultiStepMultiGammaLR",
    "MultiplicativeLR",
    "OneCycleLR",
    "PolynomialLR",
    "ReduceLROnPlateau",
    "StepLR",
]
