"""Distiller's compression schedules: its files, its callbacks and its conventions, on the one engine."""

from prunus.recipes.distiller.arguments import PrunerArgs, RegularizerArgs
from prunus.recipes.distiller.loading import check, load
from prunus.recipes.distiller.policies import LossComponent, PolicyLoss, PruningPolicy, RegularizationPolicy
from prunus.recipes.distiller.scheduler import DistillerScheduler

__all__ = [
    "DistillerScheduler",
    "LossComponent",
    "PolicyLoss",
    "PrunerArgs",
    "PruningPolicy",
    "RegularizationPolicy",
    "RegularizerArgs",
    "check",
    "load",
]
