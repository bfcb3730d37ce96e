"""Recipes for sparsities that differ from parameter to parameter."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from prunus import recipes
from prunus.criteria import Magnitude
from prunus.errors import SettingError
from prunus.measure import count, sensitivity
from prunus.policy import Policy
from prunus.scheduler import CompressionScheduler
from prunus.schedules import Linear, OneShot
from prunus.select import Select
from prunus.structures import Filter, Row
from prunus.window import Window
from tests.models import convs


def net() -> nn.Sequential:
    torch.manual_seed(2)
    return nn.Sequential(nn.Linear(12, 20), nn.Linear(20, 7), nn.Linear(7, 3))


def faithful(model: nn.Module) -> float:
    """Say how near the outputs are to those of the dense model, at most 0."""
    inputs = torch.linspace(-1, 1, 48).view(4, 12)
    with torch.no_grad():
        return -float((model(inputs) - net()(inputs)).square().sum())


def pruned(policies: list[Policy], model: nn.Module, epochs: int = 3) -> nn.Module:
    scheduler = CompressionScheduler(model, policies)
    for _ in scheduler.epochs(epochs):
        pass
    return model


@pytest.mark.parametrize("sparsity", [0.1, 0.333, 0.5, 0.77, 0.9])
def test_a_suggested_recipe_loads_and_reaches_the_asked_count_exactly(sparsity: float) -> None:
    scan = sensitivity(net(), faithful, levels=(0.2, 0.4, 0.6, 0.8, 0.9))
    policies = recipes.suggest(scan, sparsity)
    loaded = recipes.load(recipes.dump(policies))
    assert loaded == policies
    found = count(pruned(loaded, net()))
    assert found.total == 401 and found.zeros == int(sparsity * 401)


@pytest.mark.parametrize("structure", [Row(), Filter()])
def test_groups_are_whole_and_never_more_than_asked(structure: Row | Filter) -> None:
    model = net() if isinstance(structure, Row) else convs()
    select = Select() if isinstance(structure, Row) else Select(("0.weight", "1.weight"))
    criterion = Magnitude(p=2, average=True)
    settings = {"select": select, "structure": structure, "criterion": criterion, "levels": (0.25, 0.5, 0.75)}
    scan = sensitivity(model, lambda model: 1.0 - count(model).sparsity / 100, **settings)  # type: ignore[arg-type]
    policies = recipes.suggest(scan, 0.5, schedule=OneShot)
    pruned(policies, model, epochs=1)
    found = sum(int((dict(model.named_parameters())[name] == 0).sum()) for name in scan.targets)
    assert 0.5 * scan.weights - 40 < found <= 0.5 * scan.weights
    assert all(policy.action.structure == structure for policy in policies)  # type: ignore[attr-defined]
    assert all(policy.action.criterion == criterion for policy in policies)  # type: ignore[attr-defined]


def test_one_policy_a_level_with_shape_and_window() -> None:
    levels = {"0.weight": 0.5, "1.weight": 0.0, "2.weight": 0.5}
    (policy,) = recipes.per_target(levels, schedule=Linear, window=Window(1, 3))
    assert policy.window == Window(1, 3) and policy.action.schedule == Linear(0.5)  # type: ignore[attr-defined]
    model = pruned([policy], net())
    assert [int((layer.weight == 0).sum()) for layer in model] == [120, 0, 10]


def test_names_are_no_patterns() -> None:
    model = nn.Module()
    model.add_module("a[0]", nn.Linear(4, 4))
    model.add_module("a0", nn.Linear(4, 4))
    pruned(recipes.per_target({"a[0].weight": 0.5}), model)
    assert [int((layer.weight == 0).sum()) for layer in model.children()] == [8, 0]


def test_nothing_to_prune_is_refused() -> None:
    with pytest.raises(SettingError, match="levels is"):
        recipes.per_target({"0.weight": 0.0})
    with pytest.raises(SettingError, match="is 1.5"):
        recipes.per_target({"0.weight": 1.5})
