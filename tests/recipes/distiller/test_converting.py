"""Distiller's files to native recipes: the same weights to the last bit, or the reason why not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from prunus import recipes
from prunus.recipes import distiller
from prunus.recipes.distiller.components import SECTIONS
from prunus.recipes.distiller.converting import CONVERTERS, REASONS, convert
from prunus.scheduler import CompressionScheduler
from tests.recipes.distiller.loops import batches, loss_of, sgd, weights
from tests.recipes.distiller.pruner_examples import AGP, EXAMPLES, FILTERS, HALF, convolutional

EPOCHS = 8
CLASSES = {name: kind for classes in SECTIONS.values() for name, kind in classes.items()}
WINDOW = {"starting_epoch": 1, "ending_epoch": 6, "frequency": 2}
RANKED = "L1RankedStructureParameterPruner"
BLOCKS = {"group_type": "Blocks", "weights": "conv2.weight", "kwargs": {"block_shape": [2, 1, 1, 1]}}


def schedule(name: str, settings: dict[str, Any], **policy: Any) -> dict[str, Any]:
    """One pruner or regularizer and its policy."""
    section, kind = next((s, k.kind) for s, classes in SECTIONS.items() for n, k in classes.items() if n == name)
    timing = {} if "epochs" in policy else WINDOW
    args = {"args": policy.pop("args")} if "args" in policy else {}
    use = {kind: {"instance_name": "mine", **args}, **timing, **policy}
    return {section: {"mine": {"class": name, **settings}}, "policies": [use]}


def trace(scheduler: CompressionScheduler) -> list[list[Tensor]]:
    """Train through the loop that both know."""
    found, model, optimizer = [], scheduler.model, scheduler.optimizer
    assert optimizer is not None
    for epoch in scheduler.epochs(EPOCHS):
        found.append(weights(model))
        for _, images, labels in batches(epoch):
            optimizer.zero_grad()
            scheduler.loss(loss_of(model, images, labels)).backward()
            optimizer.step()
            found.append(weights(model))
    return found


def both(source: dict[str, Any], model: nn.Module | None = None) -> tuple[list[list[Tensor]], list[list[Tensor]]]:
    """The run of the schedule, and that of the recipe that it becomes, read back from its text."""
    conversion = convert(source, model)
    assert conversion.recipe is not None, [str(fault) for fault in conversion.faults]
    theirs, ours = convolutional(), convolutional()
    one = trace(distiller.load(theirs, sgd(theirs), source, epochs=EPOCHS))
    policies = recipes.load(conversion.recipe.to_yaml())
    return one, trace(CompressionScheduler(ours, policies, optimizer=sgd(ours)))


def same(one: list[list[Tensor]], other: list[list[Tensor]]) -> bool:
    pairs = zip(one, other, strict=True)
    return all(torch.equal(a, b) for x, y in pairs for a, b in zip(x, y, strict=True))


CONVERTIBLE = {
    "AGP": schedule("AutomatedGradualPruner", EXAMPLES["AutomatedGradualPruner"]),
    "AGP in a list of epochs": schedule(
        "AutomatedGradualPruner", {**AGP, "weights": ["module.fc.weight", "conv1.bias"]}, epochs=[0, 1, 4, 7]
    ),
    "AGP with keep_mask": schedule(
        "AutomatedGradualPruner", EXAMPLES["AutomatedGradualPruner"], args={"keep_mask": True}
    ),
    "levels": schedule(
        "SparsityLevelParameterPruner", {"levels": {"fc.weight": 0.5, "conv2.weight": 0.29, "conv1.bias": 0}}
    ),
    "levels of the policy": schedule(
        "SparsityLevelParameterPruner", {"levels": {"fc.weight": 0.5}}, args={"levels": {"fc.weight": 0.75}}
    ),
    "L1 filters": schedule(RANKED, {**FILTERS, **HALF}),
    "L1 filters along AGP": schedule(f"{RANKED}_AGP", {**FILTERS, **AGP}),
    "L2 filters along AGP": schedule("L2RankedStructureParameterPruner_AGP", {**FILTERS, **AGP}),
    "L2 rows": schedule("L2RankedStructureParameterPruner", EXAMPLES["L2RankedStructureParameterPruner"]),
    "L1 channels along AGP": schedule(
        f"{RANKED}_AGP", {**AGP, "weights": ["conv2.weight", "fc.weight"], "group_type": "Channels"}
    ),
    "blocks over filters": schedule(RANKED, {**HALF, **BLOCKS}),
    "a Leader alone": schedule(
        RANKED, {**HALF, "group_type": "3D", "weights": "conv1.weight", "group_dependency": "Leader"}
    ),
    "steps": schedule("StepLR", {"step_size": 3, "gamma": 0.5}, starting_epoch=0, ending_epoch=8, frequency=1),
    "a late exponential": schedule("ExponentialLR", {"gamma": 0.9}),
    "one that counts from its own start": schedule("ExponentialLR", {"gamma": 0.9, "relative": True}),
    "milestones": schedule("MultiStepLR", {"milestones": [2, 4], "gamma": 0.3}, epochs=[0, 1, 3, 6]),
    "a warm-up": schedule("LinearLR", {"start_factor": 0.25, "total_iters": 4}),
    "L1": schedule("L1Regularizer", {"reg_regims": {"fc.weight": 0.01, "conv1.weight": 0.02, "conv2.weight": 0.01}}),
}


@pytest.mark.parametrize("name", CONVERTIBLE)
@pytest.mark.parametrize("known", [False, True], ids=["by names", "with the model"])
def test_the_recipe_trains_as_the_schedule_to_the_last_bit(name: str, known: bool) -> None:
    source = CONVERTIBLE[name]
    one, other = both(source, convolutional() if known else None)
    assert same(one, other)
    model = convolutional()
    assert not same(one, trace(CompressionScheduler(model, [], optimizer=sgd(model))))


def test_every_convertible_class_is_run() -> None:
    run = {one["class"] for source in CONVERTIBLE.values() for at in SECTIONS for one in source.get(at, {}).values()}
    assert all(any(issubclass(CLASSES[name], kind) for name in run) for kind in CONVERTERS)


def test_every_class_has_a_converter_or_a_reason() -> None:
    for name, kind in CLASSES.items():
        assert any(base in CONVERTERS or base in REASONS for base in kind.__mro__), name
    assert not set(CONVERTERS) & set(REASONS)


def test_everything_else_means_the_parameters_of_the_model() -> None:
    source = schedule("SparsityLevelParameterPruner", {"levels": {"fc.weight": 0.5, "*": 0.25}})
    one, other = both(source, convolutional())
    assert same(one, other)
    (fault,) = [fault for fault in convert(source).faults if fault.severity == "error"]
    assert fault.code == "no-equivalent" and "--model" in fault.suggestion


def test_policies_one_after_the_other() -> None:
    source = {
        "pruners": {
            "early": {"class": "AutomatedGradualPruner", **AGP, "weights": "fc.weight"},
            "late": {"class": "SparsityLevelParameterPruner", "levels": {"fc.weight": 0.75}},
        },
        "policies": [
            {"pruner": {"instance_name": "early"}, "epochs": [0, 2, 3]},
            {"pruner": {"instance_name": "late"}, "epochs": [5, 6]},
        ],
    }
    assert same(*both(source))
    source["pruners"]["late"]["levels"]["fc.weight"] = 0.7  # fewer than the earlier one has left
    (fault,) = [fault for fault in convert(source).faults if fault.severity == "error"]
    assert "native masks only tighten" in fault.message and convert(source).recipe is None


REFUSED = {
    "a threshold": (schedule("SensitivityPruner", {"sensitivities": {"fc.weight": 0.5}}), "a threshold decides"),
    "a Leader": (schedule(RANKED, {**FILTERS, **HALF, "group_dependency": "Leader"}), "a Leader decides"),
    "noise": (schedule(RANKED, {**FILTERS, **HALF, "noise": 0.5}), "noise in the ranking"),
    "large blocks": (
        schedule(RANKED, {**HALF, **BLOCKS, "kwargs": {"block_shape": [2, 2, 1, 1]}}),
        "blocks of several",
    ),
    "a lottery": (schedule("RandomRankedFilterPruner", {**FILTERS, **HALF}), "draws other numbers"),
    "a threshold of a regularizer": (
        schedule("L1Regularizer", {"reg_regims": {"fc.weight": 0.1}, "threshold_criteria": "Max"}),
        "removes weights after each mini-batch",
    ),
    "a rate that has a floor": (schedule("CosineAnnealingLR", {"T_max": 6, "eta_min": 0.001}), "no shares"),
    "a rate that moves momentum": (schedule("OneCycleLR", {"max_lr": 0.1, "total_steps": 9}), "momentum too"),
    "a window that never ends": (
        schedule("StepLR", {"step_size": 30}, starting_epoch=0, ending_epoch=10**12, frequency=1),
        "more than 100,000 epochs",
    ),
    "more shares than a recipe holds": (
        schedule("ExponentialLR", {"gamma": 0.9999}, starting_epoch=0, ending_epoch=12_000, frequency=1),
        "a recipe, of 10,000 values, has no room",
    ),
    "a plateau": (schedule("ReduceLROnPlateau", {"factor": 0.5}), "depend on more than the epoch"),
    "thinning": (
        schedule("FilterRemover", {"thinning_func_str": "remove_filters", "arch": "a", "dataset": "b"}),
        "takes weights out",
    ),
    "group lasso": (schedule("GroupLassoRegularizer", {"reg_regims": {"conv1.weight": [0.1, "3D"]}}), "λ·√n"),
    "the forward pass only": (
        schedule(RANKED, {**FILTERS, **HALF}, args={"mask_on_forward_only": True}),
        "mask_on_forward_only: native masks hold",
    ),
    "mini-batches": (
        schedule(RANKED, {**FILTERS, **HALF}, args={"mini_batch_pruning_frequency": 2}),
        "either by epochs or by steps",
    ),
}


@pytest.mark.parametrize("times", [{"frequency": 1}, {"frequency": 7}], ids=["side by side", "one by one"])
def test_a_long_window_becomes_a_recipe_that_can_be_read(times: dict[str, int]) -> None:
    source = schedule("ExponentialLR", {"gamma": 0.9999}, starting_epoch=0, ending_epoch=8_000, **times)
    recipe = convert(source).recipe
    assert recipe is not None and recipes.load(recipe.to_yaml()) == recipe


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_equivalent_is_said_and_not_replaced(name: str) -> None:
    source, said = REFUSED[name]
    conversion = convert(source)
    assert conversion.recipe is None
    (fault,) = [fault for fault in conversion.faults if fault.severity == "error"]
    assert fault.code == "no-equivalent" and said in fault.message


def test_frozen_parameters_and_transposed_convolutions() -> None:
    model = nn.Sequential(nn.ConvTranspose2d(4, 4, 3), nn.Linear(4, 4))
    model[1].requires_grad_(False)
    source = schedule(RANKED, {**HALF, "group_type": "Filters", "weights": "0.weight"})
    assert [f.message for f in convert(source, model).faults if "transposed" in f.message]
    source = schedule("AutomatedGradualPruner", {**AGP, "weights": "1.weight"})
    assert [f.message for f in convert(source, model).faults if "frozen" in f.message]


def test_errors_of_the_file_come_too_and_names_are_free() -> None:
    conversion = convert({"pruners": {"a": {"class": "AGP"}}, "policies": []})
    assert conversion.recipe is None and any(fault.severity == "error" for fault in conversion.faults)
    source = schedule("SparsityLevelParameterPruner", {"levels": {"fc.weight": 0.5, "conv1.weight": 0.25}})
    source["pruners"] = {"2d pruner": source["pruners"]["mine"]}
    source["policies"][0]["pruner"]["instance_name"] = "2d pruner"
    recipe = convert(source).recipe
    assert recipe is not None and list(recipe.parts["actions"]) == ["_2d_pruner", "_2d_pruner_2"]


def test_the_source_stays_as_it_is_and_a_path_will_do(tmp_path: Path) -> None:
    path = tmp_path / "schedule.yaml"
    path.write_text("policies: []\n")
    assert convert(path).recipe is None
    source = CONVERTIBLE["AGP"]
    before = str(source)
    assert convert(source).recipe == convert(source).recipe and str(source) == before
