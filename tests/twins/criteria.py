"""Slow references for criteria: float64, one group at a time, from the formulas."""

from __future__ import annotations

import math


def magnitude(group: list[float], p: float, average: bool) -> float:
    """Return the p-norm of one group, or its power mean."""
    if math.isinf(p):
        return max(abs(weight) for weight in group)
    total = math.fsum(abs(weight) ** p for weight in group)
    return (total / len(group) if average else total) ** (1 / p)
