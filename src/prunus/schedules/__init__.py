"""Schedules: pure functions of progress in [0, 1] to a level in [0, 1].

>>> SCHEDULES["cubic"](final=1.0)(0.5)
0.875
"""

from __future__ import annotations

from prunus.schedules.base import Schedule
from prunus.schedules.constant_rate import ConstantRate
from prunus.schedules.cosine import Cosine
from prunus.schedules.cubic import Cubic
from prunus.schedules.exponential import Exponential
from prunus.schedules.levels import Levels
from prunus.schedules.linear import Linear
from prunus.schedules.one_shot import OneShot
from prunus.schedules.pruning_scheduler import PruningScheduler

__all__ = [
    "SCHEDULES",
    "ConstantRate",
    "Cosine",
    "Cubic",
    "Exponential",
    "Levels",
    "Linear",
    "OneShot",
    "PruningScheduler",
    "Schedule",
]

SCHEDULES: dict[str, type[Schedule]] = {
    "constant_rate": ConstantRate,
    "cosine": Cosine,
    "cubic": Cubic,
    "exponential": Exponential,
    "levels": Levels,
    "linear": Linear,
    "one_shot": OneShot,
}
