"""Criteria: how much each group of a weight matters; higher keeps.

>>> CRITERIA["magnitude"](p=2)
Magnitude(p=2, average=False)
"""

from __future__ import annotations

from prunus.criteria.base import Criterion
from prunus.criteria.gradient import Gradient
from prunus.criteria.lamp import LAMP
from prunus.criteria.magnitude import Magnitude
from prunus.criteria.random_ import Random
from prunus.criteria.taylor import Taylor

__all__ = ["CRITERIA", "LAMP", "Criterion", "Gradient", "Magnitude", "Random", "Taylor"]

CRITERIA: dict[str, type[Criterion]] = {
    "gradient": Gradient,
    "lamp": LAMP,
    "magnitude": Magnitude,
    "random": Random,
    "taylor": Taylor,
}
