"""What the demonstration runs: one small network, trained dense and at two sparsities by three methods."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from prunus.actions import Action, Prune, SetLR, Steer
from prunus.optim import AdaBreg, sparsify_
from prunus.policy import Policy
from prunus.regularizers import RegL1
from prunus.schedules import Cubic, Linear, OneShot
from prunus.select import targets
from prunus.steering import LambdaScheduler, SparsityBudget
from prunus.window import Window

BATCH = 64
RATE = 3e-3
STEPS = 1100
"""Optimizer steps of a run, roughly; the number of epochs follows from the number of images."""
SUBSET = 10_000
"""How many images a run trains on at most, so that the whole demonstration takes minutes."""
MARGIN = 2e-4
"""How far below the asked sparsity λ feedback aims; the last step prunes that rest to the exact count."""

METHODS = {
    "dense": "Adam with a learning rate that falls linearly to zero. Every other run has the same initial weights, "
    "the same order of images and the same decay.",
    "magnitude": "Gradual magnitude pruning with Adam: every 10 steps the smallest weights of the whole network are "
    "set to zero for good, along a cubic ramp over the first 60 % of training.",
    "AdaBreg, λ feedback": "A Bregman optimizer holds every weight at zero until its dual variable has crossed a "
    "threshold λ. It starts as sparse as it shall end; after each step λ rises while the network is too dense and "
    "falls while it is too sparse. It aims 0.02 points low; the last step prunes that rest to the exact count.",
    "AdaBreg, budget": "The same optimizer with a small fixed λ and a cap on how many weights may live, lowered along "
    "the same cubic ramp. Now and then a little room is made, so that a zero weight whose gradient insists can return.",
}


@dataclass(frozen=True)
class Run:
    """One run of the demonstration: the method's key and name, and the sparsity asked for (None: dense).

    >>> Run("budget", "AdaBreg, budget", 0.98).title
    'AdaBreg, budget, 98 %'
    """

    method: str
    name: str
    asked: float | None = None

    @property
    def key(self) -> str:
        """The run's name for files."""
        return self.method if self.asked is None else f"{self.method}-{100 * self.asked:g}"

    @property
    def title(self) -> str:
        """The run's name with its sparsity, as tables show it."""
        return self.name if self.asked is None else f"{self.name}, {100 * self.asked:g} %"


RUNS = (
    Run("dense", "dense"),
    *(
        Run(method, name, asked)
        for asked in (0.9, 0.98)
        for method, name in (
            ("magnitude", "magnitude"),
            ("feedback", "AdaBreg, λ feedback"),
            ("budget", "AdaBreg, budget"),
        )
    ),
)


def epochs_for(images: int) -> int:
    """Return how many epochs make about STEPS optimizer steps.

    >>> epochs_for(4000), epochs_for(10_000)
    (17, 7)
    """
    return max(1, round(STEPS / math.ceil(images / BATCH)))


def recipe(
    run: Run, model: nn.Module, steps: int, seed: int = 0
) -> tuple[torch.optim.Optimizer, list[Policy | Action]]:
    """Return the optimizer and the policies of a run of ``steps`` optimizer steps: all that tells the methods apart.

    The run with λ feedback starts sparse, as its method does: ``model`` keeps a share 1 - asked of its weights, chosen
    by ``seed`` and rescaled.

    >>> from prunus.tasks.vision import lenet_300_100
    >>> optimizer, policies = recipe(Run("magnitude", "magnitude", 0.9), lenet_300_100(), steps=100)
    >>> type(optimizer).__name__, [type(policy.action).__name__ for policy in policies]
    ('Adam', ['SetLR', 'Prune'])
    """
    decay = Policy(SetLR(Linear(initial=1.0, final=0.0)))
    if run.asked is None:
        return torch.optim.Adam(model.parameters(), RATE), [decay]
    if run.method == "magnitude":
        gradual = Policy(Prune(Cubic(run.asked)), Window(0, "0.6dur", frequency=10, unit="step"))
        return torch.optim.Adam(model.parameters(), RATE), [decay, gradual]
    if run.method == "feedback":
        weights = [target.parameter for target in targets(model)]
        sparsify_(weights, 1.0 - run.asked, generator=torch.Generator().manual_seed(seed), rescale=True)
        steer = Policy(Steer(LambdaScheduler(10 * RATE, run.asked - MARGIN)), Window(0, steps - 2, unit="step"))
        trim = Policy(Prune(OneShot(run.asked)), Window(steps - 1, unit="step"))
        return _adabreg(model, 10 * RATE), [decay, steer, trim]
    return _adabreg(model, 2 * RATE), [decay, Policy(Steer(SparsityBudget(run.asked, period=100)))]


def _adabreg(model: nn.Module, strength: float) -> AdaBreg:
    """AdaBreg with L1 on the weights and nothing on the biases."""
    weights = [target.parameter for target in targets(model)]
    chosen = {id(weight) for weight in weights}
    rest = [parameter for parameter in model.parameters() if id(parameter) not in chosen]
    groups: list[dict[str, Any]] = [{"params": weights, "reg": RegL1(strength)}, {"params": rest}]
    return AdaBreg(groups, lr=RATE)
