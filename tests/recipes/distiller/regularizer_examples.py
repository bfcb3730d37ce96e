"""Examples of every class of the section ``regularizers``, for the network of the pruners."""

from __future__ import annotations

from typing import Any

from prunus.recipes import distiller
from prunus.recipes.distiller import DistillerScheduler
from tests.recipes.distiller.loops import sgd
from tests.recipes.distiller.pruner_examples import convolutional

L1, LASSO, VARIANCE = "L1Regularizer", "GroupLassoRegularizer", "GroupVarianceRegularizer"
# by class: regimes, each with strengths at which a part of the groups stays under the threshold
EXAMPLES: dict[str, list[dict[str, Any]]] = {
    LASSO: [
        {"conv1.weight": [0.12, "3D"], "conv2.weight": [0.17, "Channels"], "fc.weight": [0.1, "Rows"]},
        {"conv1.weight": [0.15, "Filters"], "conv2.weight": [0.2, "2D"], "fc.weight": [0.11, "Cols"]},
        {"conv1.weight": [0.1, "2D"], "fc.weight": [0.1, "Channels"]},
    ],
    VARIANCE: [{"conv2.weight": [0.6, "Channels"], "fc.weight": [0.0001, "Channels"]}],
    L1: [{"conv1.weight": 0.05, "conv2.weight": 0.1, "fc.weight": 0.03}],
}
SUMS: dict[str, Any] = {
    "conv1.weight": [0.01, "2D+3D"],
    "conv2.weight": [0.02, "Channels+4D"],
    "fc.weight": [0.01, "Rows+Cols"],
}
"""Groups that have no threshold."""


def schedule(
    name: str,
    regimes: dict[str, Any],
    criterion: str | None = None,
    args: dict[str, Any] | None = None,
    window: tuple[int, int, int] = (1, 6, 2),
) -> dict[str, Any]:
    """One regularizer in a range of epochs."""
    threshold = {} if criterion is None else {"threshold_criteria": criterion}
    timing = dict(zip(("starting_epoch", "ending_epoch", "frequency"), window, strict=True))
    return {
        "version": 1,
        "regularizers": {"mine": {"class": name, "reg_regims": regimes, **threshold}},
        "policies": [{"regularizer": {"instance_name": "mine", "args": args or {}}, **timing}],
    }


def ours(source: dict[str, Any]) -> DistillerScheduler:
    model = convolutional()
    return distiller.load(model, sgd(model), source)
