"""Criteria: how much each group of a weight matters; higher keeps.

>>> CRITERIA["magnitude"](p=2)
Magnitude(p=2, average=False)
"""

from __future__ import annotations

from prunus.criteria.base import Criterion
from prunus.criteria.magnitude import Magnitude
from prunus.criteria.random_ import Random

__all__ = ["CRITERIA", "Criterion", "Magnitude", "Random"]

CRITERIA: dict[str, type[Criterion]] = {
    "magnitude": Magnitude,
    "random": Random,
}
