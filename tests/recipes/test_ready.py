"""Every recipe in recipes/ has an honest header, loads, survives a round trip and runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from torch import nn

from prunus import recipes
from prunus.optim import AdaBreg
from prunus.regularizers import RegL1
from prunus.scheduler import CompressionScheduler

ROOT = Path(__file__).parents[2]
FOREIGN = ROOT / "recipes/distiller"  # in Distiller's language, tested beside its front-end
READY = sorted(path for path in (ROOT / "recipes").rglob("*.yaml") if FOREIGN not in path.parents)


def network() -> nn.Sequential:
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 3))
    for layer in (model[0], model[3]):  # of one scale, so that a global ranking empties neither
        nn.init.uniform_(layer.weight, -0.5, 0.5)
    return model


def optimizer_of(model: nn.Module) -> AdaBreg:
    """AdaBreg, as the header of the budget recipe makes it; the other recipes take any optimizer."""
    weights = [p for p in model.parameters() if p.dim() > 1]
    rest = [p for p in model.parameters() if p.dim() <= 1]
    return AdaBreg([{"params": weights, "reg": RegL1(0.003)}, {"params": rest}], lr=0.001)


def train(model: nn.Module, scheduler: CompressionScheduler, epochs: int) -> None:
    for _ in scheduler.epochs(epochs):
        step(model, scheduler)


def step(model: nn.Module, scheduler: CompressionScheduler) -> None:
    scheduler.loss(model(torch.rand(2, 1, 4, 4)).square().mean()).backward()
    scheduler.optimizer.step()
    scheduler.optimizer.zero_grad()


def test_there_are_ready_recipes() -> None:
    assert len(READY) >= 3


@pytest.mark.parametrize("path", READY, ids=lambda path: path.stem)
def test_the_header_says_how_what_and_when(path: Path) -> None:
    header = [line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
    text = "\n".join(header)
    assert f'load("{path.relative_to(ROOT).as_posix()}")' in text
    assert re.search(r"^# What it does: ", text, re.MULTILINE)
    assert re.search(r"^# Date: \d{4}-\d\d-\d\d\. prunus \d+\.\d+\.\d+\. Result: ", text, re.MULTILINE)


@pytest.mark.parametrize("path", READY, ids=lambda path: path.stem)
def test_it_survives_a_round_trip(path: Path) -> None:
    text = recipes.dump(recipes.load(path))
    assert recipes.dump(recipes.load(text)) == text


@pytest.mark.parametrize("path", READY, ids=lambda path: path.stem)
def test_it_runs_for_two_steps(path: Path) -> None:
    model = network()
    before = [p.clone() for p in model.parameters()]
    long_run = {"optimizer": optimizer_of(model), "steps_per_epoch": 200, "epochs": 2}
    scheduler = CompressionScheduler(model, recipes.load(path), **long_run)
    step(model, scheduler)
    step(model, scheduler)
    assert scheduler.step == 2
    assert not all(torch.equal(was, now) for was, now in zip(before, model.parameters(), strict=True))


def test_gradual_magnitude_reaches_90_percent() -> None:
    model = network()
    policies = recipes.load(ROOT / "recipes/vision/gradual_magnitude_90.yaml")
    sgd = torch.optim.SGD(model.parameters(), lr=0.001)
    scheduler = CompressionScheduler(model, policies, optimizer=sgd, steps_per_epoch=1)
    train(model, scheduler, epochs=10)
    assert scheduler.count().zeros == 75  # ⌊0.9 · (36 + 48)⌋
    assert sgd.param_groups[0]["lr"] == 0.0


def test_the_budget_holds_exactly() -> None:
    model = network()
    policies = recipes.load(ROOT / "recipes/vision/sparsity_budget_98.yaml")
    scheduler = CompressionScheduler(model, policies, optimizer=optimizer_of(model), steps_per_epoch=1)
    train(model, scheduler, epochs=10)
    assert (scheduler.count().zeros, scheduler.count().total) == (82, 84)  # ⌊0.98 · 84⌋


def test_group_lasso_leaves_half_of_the_filters() -> None:
    model = network()
    policies = recipes.load(ROOT / "recipes/vision/group_lasso_filters.yaml")
    sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    train(model, CompressionScheduler(model, policies, optimizer=sgd, steps_per_epoch=1), epochs=10)
    assert int(model[0].weight.flatten(1).any(dim=1).sum()) == 2
    assert int(model[3].weight.count_nonzero()) == 48
