"""What a sensitivity scan returns: one reading a cell, plain figures, no tensor."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

from torch import Tensor, nn

from prunus.criteria import Criterion, Magnitude
from prunus.errors import RunError, SettingError, require_known
from prunus.structures import Element, Structure

Figure = float | Tensor
Metric = Callable[[nn.Module], "Figure | Mapping[str, Figure]"]
"""Judges a model: one number, or several by name."""

SOLE = "metric"
"""The name of the figure of a metric that returns one number."""


@dataclass(frozen=True)
class Reading:
    """One cell: parameter ``target`` alone was pruned to ``level``, and the model then had these ``metrics``.

    ``pruned`` of ``members`` went: weights, or groups of the scan's structure; ``weights`` is the size of the tensor.

    >>> Reading("fc.weight", 0.5, pruned=3, members=7, weights=7, metrics={"accuracy": 0.9}).sparsity
    0.42857142857142855
    """

    target: str
    level: float
    pruned: int
    members: int
    weights: int
    metrics: dict[str, float]

    @property
    def sparsity(self) -> float:
        """The share that really went: the largest count that does not exceed the level."""
        return self.pruned / self.members if self.members else 0.0


@dataclass(frozen=True)
class Sensitivity:
    """A finished scan: the metrics of the dense model, a row for each target and level, and how they were made.

    Rows come by target in model order, then by level. ``weights`` is the number of weights of all targets together.

    >>> rows = (Reading("a", 0.5, 1, 2, 2, {"loss": 1.5}), Reading("b", 0.5, 1, 2, 2, {"loss": 1.25}))
    >>> scan = Sensitivity({"loss": 1.0}, rows)
    >>> scan.targets, scan.curve("a"), scan.weights
    (('a', 'b'), [(0.0, 1.0), (0.5, 1.5)], 4)
    """

    dense: dict[str, float]
    rows: tuple[Reading, ...]
    structure: Structure = Element()
    criterion: Criterion = Magnitude()
    seed: int = 0

    @property
    def targets(self) -> tuple[str, ...]:
        """The names of the parameters, in model order."""
        return tuple(dict.fromkeys(row.target for row in self.rows))

    @property
    def weights(self) -> int:
        """How many weights the targets have together."""
        return sum({row.target: row.weights for row in self.rows}.values())

    def of(self, target: str) -> list[Reading]:
        """Return the readings of one target by rising level; SettingError with the nearest name for an unknown one."""
        require_known("target", target, self.targets)
        return [row for row in self.rows if row.target == target]

    def named(self, metric: str | None = None) -> str:
        """Return ``metric``, or the first one for None; SettingError with the nearest name for an unknown one."""
        if metric is None:
            return next(iter(self.dense))
        require_known("metric", metric, self.dense)
        return metric

    def curve(self, target: str, metric: str | None = None) -> list[tuple[float, float]]:
        """Return (level, value) of one target by rising level, from the dense model at level 0 on."""
        name = self.named(metric)
        return [(0.0, self.dense[name]), *((row.level, row.metrics[name]) for row in self.of(target))]


def figures(found: object) -> dict[str, float]:
    """Return what a metric returned as plain numbers by name; RunError when it is anything else.

    >>> figures(0.5), figures({"accuracy": 0.9, "loss": 1})
    ({'metric': 0.5}, {'accuracy': 0.9, 'loss': 1.0})
    """
    entries: Mapping[Any, Any] = found if isinstance(found, Mapping) else {SOLE: found}
    values = {key: value for key, value in entries.items() if isinstance(key, str) and _is_number(value)}
    if len(values) < max(1, len(entries)):
        what = f"the metric returned {found!r}" if not isinstance(found, Mapping) else f"metrics are {dict(found)!r}"
        raise RunError(f"{what}, expected a number, or numbers by name such as {{'accuracy': 0.9}}")
    return {key: float(value.detach() if isinstance(value, Tensor) else value) for key, value in values.items()}


def same(one: float, other: float) -> bool:
    """Say whether two figures of one model agree: equal to six digits, or both NaN.

    >>> same(1.0, 1.0 + 1e-9), same(0.97, 0.96), same(float("nan"), float("nan"))
    (True, False, True)
    """
    return math.isclose(one, other, rel_tol=1e-6, abs_tol=1e-9) or (math.isnan(one) and math.isnan(other))


def require_levels(levels: object) -> tuple[float, ...]:
    """Return the levels, sorted; SettingError unless they are different fractions above 0.

    >>> require_levels([0.9, 0.5])
    (0.5, 0.9)
    """
    found = tuple(levels) if isinstance(levels, (list, tuple)) else ()
    fractions = all(_is_number(level) and not isinstance(level, Tensor) and 0 < level <= 1 for level in found)
    if not found or not fractions or len(set(found)) < len(found):
        raise SettingError(
            f"levels is {levels!r}, expected different sparsities above 0 and at most 1, such as (0.5, 0.9); "
            "the dense model is measured in any case"
        )
    return tuple(sorted(float(level) for level in found))


def _is_number(value: object) -> bool:
    return (isinstance(value, Real) and not isinstance(value, bool)) or (
        isinstance(value, Tensor) and value.numel() == 1
    )
