"""A run for real, with notes of who acted when and of the learning rate of every step."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field

import torch
from torch import nn

from prunus.errors import LayerCollapse, NoEffect
from prunus.policy import Policy
from prunus.recipes.distiller import DistillerScheduler
from prunus.scheduler import CompressionScheduler


@dataclass
class Notes:
    """By the number of the policy: when it fired, and what it then asked for; the rate of each step."""

    fired: dict[int, list[int]] = field(default_factory=dict)
    asked: dict[int, list[float]] = field(default_factory=dict)
    rates: list[float] = field(default_factory=list)


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))


def rehearsed(policies: list[Policy], epochs: int, steps: int, lr: float = 0.1) -> Notes:
    """Train for so many epochs of so many steps."""
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoEffect)
        warnings.simplefilter("ignore", LayerCollapse)
        scheduler = CompressionScheduler(model, policies, optimizer=optimizer, steps_per_epoch=steps)
        return train(scheduler, epochs, steps)


def train(scheduler: CompressionScheduler, epochs: int, steps: int) -> Notes:
    notes = Notes()
    for place in range(len(scheduler.policies)):
        watch(scheduler, place, notes)
    for epoch in scheduler.epochs(epochs):
        for _ in range(steps):
            step(scheduler, notes)
        scheduler.epoch_end({"accuracy": 0.9 - 0.1 * (epoch % 2), "min": 1.0 / (epoch + 1), "max": 0.5})
    return notes


def step(scheduler: CompressionScheduler, notes: Notes) -> None:
    if isinstance(scheduler, DistillerScheduler):
        scheduler.step_begin()
    scheduler.loss(scheduler.model(torch.rand(2, 4)).square().sum()).backward()
    scheduler.optimizer.step()
    scheduler.optimizer.zero_grad()
    notes.rates.append(scheduler.optimizer.param_groups[0]["lr"])


def watch(scheduler: CompressionScheduler, place: int, notes: Notes) -> None:
    """Note the firings of a policy; of a penalty, whenever it is asked for."""
    policy = scheduler.policies[place]
    bound, unit = policy.bound, policy.window.unit
    fire, penalty = bound.fire, bound.penalty
    fired = notes.fired.setdefault(place, [])

    def fires(time: int, progress: float) -> None:
        fired.append(time)
        fire(time, progress)
        if "asked_sparsity" in bound.metrics():
            notes.asked.setdefault(place, []).append(bound.metrics()["asked_sparsity"])

    def charges() -> torch.Tensor | None:
        time = scheduler.epoch if unit == "epoch" else scheduler.step
        if time not in fired:
            fired.append(time)
        return penalty()

    bound.fire, bound.penalty = fires, charges
