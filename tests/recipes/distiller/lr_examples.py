"""One example of every class of the section ``lr_schedulers``, as a file would define it or code would build it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from prunus.recipes import distiller
from prunus.recipes.distiller import DistillerScheduler
from prunus.recipes.distiller.lr_schedulers import LambdaLR, MultiplicativeLR
from tests.recipes.distiller.loops import network, sgd

EXAMPLES: dict[str, dict[str, Any]] = {
    "ConstantLR": {"factor": 0.5, "total_iters": 4},
    "CosineAnnealingLR": {"T_max": 6, "eta_min": 0.001},
    "CosineAnnealingWarmRestarts": {"T_0": 2, "T_mult": 2, "eta_min": 0.001},
    "CyclicLR": {"base_lr": 0.01, "max_lr": 0.1, "step_size_up": 2, "step_size_down": 3, "mode": "triangular2"},
    "ExponentialLR": {"gamma": 0.9},
    "LambdaLR": {"lr_lambda": lambda epoch: 1 / (1 + epoch)},
    "LinearLR": {"start_factor": 0.25, "end_factor": 0.75, "total_iters": 5},
    "MultiStepLR": {"milestones": [6, 3], "gamma": 0.5},
    "MultiStepMultiGammaLR": {"milestones": [3, 6], "gammas": [0.5, 0.1]},
    "MultiplicativeLR": {"lr_lambda": lambda epoch: 1 / epoch},
    "OneCycleLR": {"max_lr": 0.1, "total_steps": 9, "pct_start": 0.4, "div_factor": 4.0, "final_div_factor": 10.0},
    "PolynomialLR": {"T_max": 8, "power": 1.5},
    "ReduceLROnPlateau": {"factor": 0.5, "patience": 0, "cooldown": 1, "threshold": 0.01},
    "StepLR": {"step_size": 3, "gamma": 0.5},
}
IN_CODE: dict[str, Callable[..., Any]] = {"LambdaLR": LambdaLR, "MultiplicativeLR": MultiplicativeLR}
WINDOW = {"starting_epoch": 1, "ending_epoch": 8, "frequency": 2}
"""Fires in epochs 1, 3, 5 and 7."""
METRICS = [{"min": loss} for loss in (3.0, 2.0, 2.5, 1.5, 1.6, 1.7, 1.8, 1.9, 1.0, 1.0)]
"""The figures of each epoch."""


def schedule(name: str, settings: dict[str, Any], window: dict[str, Any] = WINDOW) -> dict[str, Any]:
    """One scheduler in one policy."""
    policy = {"lr_scheduler": {"instance_name": "mine"}, **window}
    return {"version": 1, "lr_schedulers": {"mine": {"class": name, **settings}}, "policies": [policy]}


def ours(name: str, settings: dict[str, Any], window: dict[str, Any] = WINDOW) -> DistillerScheduler:
    """A scheduler with that policy, on a network with a rate of 0.05."""
    model = network()
    if name not in IN_CODE:
        return distiller.load(model, sgd(model), schedule(name, settings, window))
    scheduler = distiller.load(model, sgd(model))
    scheduler.add_policy(IN_CODE[name](**settings), **window)
    return scheduler
