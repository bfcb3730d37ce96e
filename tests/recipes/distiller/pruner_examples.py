"""One example of every class of the section ``pruners``, as a file would define it, and a network for them all."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import torch
from torch import nn

from prunus.recipes import distiller
from prunus.recipes.distiller import DistillerScheduler
from tests.recipes.distiller.loops import sgd

FILTERS = {"group_type": "Filters", "weights": ["conv1.weight", "conv2.weight"]}
AGP = {"initial_sparsity": 0.25, "final_sparsity": 0.75}
HALF = {"desired_sparsity": 0.5}
SPLICING = {"low_thresh_mult": 0.9, "hi_thresh_mult": 1.1, "sensitivity_multiplier": 0.1}
REGIMES = {"conv1.weight": [0.2, "Filters"], "fc.weight": [0.14, "Cols"]}

EXAMPLES: dict[str, dict[str, Any]] = {
    "ActivationAPoZRankedFilterPruner": {**FILTERS, **HALF},
    "ActivationAPoZRankedFilterPruner_AGP": {**FILTERS, **AGP},
    "ActivationMeanRankedFilterPruner": {**FILTERS, **HALF},
    "ActivationMeanRankedFilterPruner_AGP": {**FILTERS, **AGP, "drop_least": True},
    "AutomatedGradualPruner": {**AGP, "weights": "fc.weight"},
    "BaiduRNNPruner": {"q": 0.3, "ramp_epoch_offset": 2, "ramp_slope_mult": 2, "weights": "fc.weight"},
    "BernoulliFilterPruner": {**FILTERS, **HALF},
    "BernoulliFilterPruner_AGP": {**FILTERS, **AGP, "seed": 1},
    "GradientRankedFilterPruner": {**FILTERS, **HALF},
    "GradientRankedFilterPruner_AGP": {**FILTERS, **AGP},
    "L1RankedStructureParameterPruner": {**FILTERS, **HALF, "noise": 0.5, "group_dependency": "Leader"},
    "L1RankedStructureParameterPruner_AGP": {
        **AGP,
        "weights": "conv2.weight",
        "group_type": "Blocks",
        "kwargs": {"block_shape": [2, 2, 1, 1]},
    },
    "L2RankedStructureParameterPruner": {**HALF, "weights": ["conv2.weight", "fc.weight"], "group_type": "Rows"},
    "L2RankedStructureParameterPruner_AGP": {**AGP, "weights": ["conv2.weight"], "group_type": "Channels"},
    "MagnitudeParameterPruner": {"thresholds": {"fc.weight": 0.2, "*": 0.05}},
    "RandomLevelStructureParameterPruner": {**FILTERS, "sparsity_range": [0.3, 0.8]},
    "RandomRankedFilterPruner": {**FILTERS, **HALF},
    "RandomRankedFilterPruner_AGP": {**FILTERS, **AGP},
    "SensitivityPruner": {"sensitivities": {"fc.weight": 1.0, "conv1.weight": 0.5}},
    "SparsityLevelParameterPruner": {"levels": {"fc.weight": 0.5, "conv1.bias": 0.0}},
    "SplicingPruner": {"sensitivities": {"fc.weight": 0.05}, **SPLICING},
    "StructureParameterPruner": {"reg_regims": REGIMES, "threshold_criteria": "Mean_Abs"},
}


def convolutional() -> nn.Sequential:
    torch.manual_seed(0)
    layers = [
        ("conv1", nn.Conv2d(1, 4, 3)),
        ("relu1", nn.ReLU()),
        ("conv2", nn.Conv2d(4, 4, 1)),
        ("relu2", nn.ReLU()),
        ("flatten", nn.Flatten()),
        ("fc", nn.Linear(16, 5)),
    ]
    return nn.Sequential(OrderedDict(layers)).double()


def schedule(name: str, settings: dict[str, Any], args: dict[str, Any] | None = None) -> dict[str, Any]:
    """One pruner in epochs 1, 3 and 5."""
    policy = {"starting_epoch": 1, "ending_epoch": 6, "frequency": 2}
    return {
        "version": 1,
        "pruners": {"mine": {"class": name, **settings}},
        "policies": [{"pruner": {"instance_name": "mine", "args": args or {}}, **policy}],
    }


def ours(name: str, settings: dict[str, Any], args: dict[str, Any] | None = None) -> DistillerScheduler:
    model = convolutional()
    return distiller.load(model, sgd(model), schedule(name, settings, args))
