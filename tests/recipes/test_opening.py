"""A recipe of either language, policies in code or a scheduler that is ready: each becomes the scheduler of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from prunus import recipes
from prunus.actions import Prune, SetLR
from prunus.errors import RecipeError, RunError
from prunus.policy import Policy
from prunus.recipes.distiller import DistillerScheduler
from prunus.scheduler import CompressionScheduler
from prunus.schedules import Linear, OneShot

READY = sorted((Path(__file__).parents[2] / "recipes").rglob("*.yaml"))
NATIVE = {"version": 1, "policies": [{"prune": {"schedule": {"one_shot": {"final": 0.5}}}}]}
HALF = {"class": "SparsityLevelParameterPruner", "levels": {"0.weight": 0.5}}
FOREIGN = {"version": 1, "pruners": {"half": HALF}, "policies": [{"pruner": {"instance_name": "half"}, "epochs": [0]}]}


def network() -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 4))


def sgd(model: nn.Module) -> torch.optim.SGD:
    return torch.optim.SGD(model.parameters(), lr=0.1)


@pytest.mark.parametrize("path", READY, ids=lambda path: path.stem)
def test_every_ready_recipe_is_told_by_its_keys(path: Path) -> None:
    assert recipes.language_of(path) == ("distiller" if path.parent.name == "distiller" else "native")


@pytest.mark.parametrize(
    ("tree", "language"),
    [
        ({"regularizers": {}, "policies": [{"regularizer": {}, "frequency": 1}]}, "distiller"),
        ({"regularizers": {}, "policies": [{"regularize": {}}]}, "native"),
        ({"policies": [{"pruner": {}, "starting_epoc": 1, "window": {}, "frequency": 2}]}, "distiller"),
        ({"quantizers": {}, "policies": []}, "distiller"),
        ({"version": 1, "policies": []}, "native"),
        ({"policies": [3, None]}, "native"),
        ({"policies": "none"}, "native"),
        ({}, "native"),
    ],
)
def test_the_language_with_more_keys_wins(tree: Any, language: str) -> None:
    assert recipes.language_of(tree) == language


def test_a_text_that_is_no_mapping_is_left_to_the_reader_of_recipes() -> None:
    assert recipes.language_of("- one\n- two\n") == "native"
    with pytest.raises(RecipeError, match="mapping"):
        recipes.opened("- one\n- two\n")


SOURCES = {
    "mapping": (NATIVE, CompressionScheduler),
    "recipe": (recipes.load(NATIVE), CompressionScheduler),
    "actions": ([Prune(OneShot(0.5))], CompressionScheduler),
    "policies": ((Policy(Prune(OneShot(0.5))),), CompressionScheduler),
    "Distiller's": (FOREIGN, DistillerScheduler),
}


@pytest.mark.parametrize("case", SOURCES)
def test_what_is_open_starts_as_often_as_it_is_asked(case: str) -> None:
    source, kind = SOURCES[case]
    opened = recipes.opened(recipes.opened(source))
    for _ in range(2):
        model = network()
        scheduler = opened.scheduler(model, sgd(model), steps_per_epoch=3)
        assert type(scheduler) is kind and scheduler.steps_per_epoch == 3
        assert [scheduler.sparsity() for _ in scheduler.epochs(1)] == [0.5]


def test_faults_show_when_they_can() -> None:
    for tree in (NATIVE | {"policies": [{"prunne": {}}]}, FOREIGN | {"pruners": {"half": HALF | {"clas": 1}}}):
        with pytest.raises(RecipeError):
            recipes.opened(tree)
    opened = recipes.opened(FOREIGN | {"pruners": {"half": HALF | {"levels": {"1.weight": 0.5}}}})
    for _ in range(2):
        with pytest.raises(RecipeError, match=r"the model has no parameter '1\.weight'"):
            opened.scheduler(network(), None)


def test_a_ready_scheduler_is_taken_as_it_is() -> None:
    model = nn.Sequential(network())
    optimizer = sgd(model)
    ready = CompressionScheduler(model[0], [SetLR(Linear(1.0, initial=0.0))], optimizer=optimizer, epochs=4)
    assert recipes.opened(ready).scheduler(model, optimizer, steps_per_epoch=5, epochs=4) is ready
    assert (ready.steps_per_epoch, ready.total_epochs) == (5, 4)


def test_a_scheduler_of_another_run_is_refused_with_every_reason() -> None:
    model = network()
    ready = CompressionScheduler(model, [], optimizer=sgd(model), epochs=4)
    with pytest.raises(RunError) as caught:
        recipes.opened(ready).scheduler(network(), sgd(model), epochs=5)
    assert str(caught.value).count("\n- ") == 3
    assert "told epochs=4, and this run has 5" in str(caught.value)
    with pytest.raises(RunError, match="give it to both"):
        recipes.opened(CompressionScheduler(model, [])).scheduler(model, None)
