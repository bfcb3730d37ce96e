"""The same of Distiller's classes, each of them, and of recipes of both languages."""

from __future__ import annotations

from bisect import bisect_right
from pathlib import Path
from typing import Any

import pytest

from prunus.errors import RecipeError
from prunus.recipes import distiller, timeline
from prunus.recipes.distiller.lr_schedulers import LR_SCHEDULERS
from prunus.recipes.distiller.pruners import PRUNERS
from prunus.recipes.distiller.pruners.level import Together
from prunus.recipes.distiller.ranked import Choosing
from prunus.recipes.distiller.regularizers import REGULARIZERS
from tests.recipes.distiller import lr_examples, pruner_examples, regularizer_examples
from tests.recipes.distiller.loops import run
from tests.recipes.timeline.rehearsal import Notes, watch

ROOT = Path(__file__).parents[3]
READY = sorted((ROOT / "recipes").rglob("*.yaml"))
EPOCHS = 8


@pytest.mark.parametrize("name", PRUNERS)
def test_pruners_fire_and_ask_as_planned(name: str) -> None:
    scheduler = pruner_examples.ours(name, pruner_examples.EXAMPLES[name])
    policies = [policy.policy for policy in scheduler.policies]
    levels = levels_asked(scheduler)
    notes = Notes()
    watch(scheduler, 0, notes)
    run(scheduler, EPOCHS)
    lane = timeline.plan(policies, epochs=EPOCHS).lanes[0]
    assert list(lane.events) == notes.fired[0] and lane.title == name
    assert ("sparsity" in lane.decided) == (not lane.curves)
    assert all(levels[target] == list(curve.values) for curve in lane.curves for target in curve.targets)
    assert lane.targets == tuple(target.name for target in policies[0].action.chosen.all)


def levels_asked(scheduler: distiller.DistillerScheduler) -> dict[str, list[float]]:
    """Note the level of every parameter whenever a rule is asked for masks, as the rule itself answers."""
    rule, found = scheduler.policies[0].bound.rule, {}
    rules = rule.rules if isinstance(rule, Together) else [rule]
    masks = rule.masks

    def noted(scene: Any) -> Any:
        for one in rules:
            for target in one.chosen if isinstance(one, Choosing) else ():
                draws = scene.generator.get_state()
                found.setdefault(target.name, []).append(one.level(scene))
                scene.generator.set_state(draws)
        return masks(scene)

    rule.masks = noted
    return found


@pytest.mark.parametrize("name", REGULARIZERS)
def test_regularizers_charge_as_planned(name: str) -> None:
    for regimes in regularizer_examples.EXAMPLES[name]:
        scheduler = regularizer_examples.ours(regularizer_examples.schedule(name, regimes))
        notes = Notes()
        watch(scheduler, 0, notes)
        run(scheduler, EPOCHS)
        lane = timeline.plan([policy.policy for policy in scheduler.policies], epochs=EPOCHS).lanes[0]
        assert list(lane.events) == notes.fired[0]
        strengths = {target: curve.values[0] for curve in lane.curves for target in curve.targets}
        written = {key: value[0] if isinstance(value, list) else value for key, value in regimes.items()}
        assert strengths == written
        assert all(len(set(curve.values)) == 1 and not curve.lasts for curve in lane.curves)


@pytest.mark.parametrize("window", [lr_examples.WINDOW, {"epochs": [0, 4, 5]}], ids=["range", "list"])
@pytest.mark.parametrize("relative", [False, True])
@pytest.mark.parametrize("name", LR_SCHEDULERS)
def test_learning_rates_are_those_of_training(name: str, relative: bool, window: dict[str, Any]) -> None:
    settings = {**lr_examples.EXAMPLES[name], **({"relative": True} if relative else {})}
    if relative and name in ("ReduceLROnPlateau", "MultiplicativeLR"):
        pytest.skip("goes on from the rate that is there")
    scheduler = lr_examples.ours(name, settings, window)
    policies = [policy.policy for policy in scheduler.policies]
    planned = timeline.plan(policies, epochs=EPOCHS, lr=0.05)
    if name == "ReduceLROnPlateau":
        assert (planned.lanes[0].decided, planned.lanes[0].curves) == ({"rate": "the metric 'min'"}, ())
        return
    rates = []
    for epoch in range(EPOCHS):
        scheduler.on_epoch_begin(epoch)
        rates.append(scheduler.optimizer.param_groups[0]["lr"])
        scheduler.on_epoch_end(epoch)
    places, values = zip(*planned.rates, strict=True)
    assert [values[bisect_right(places, epoch) - 1] for epoch in range(EPOCHS)] == rates


def test_rates_out_of_proportion_ask_for_the_optimizers() -> None:
    policies = timeline.policies_of(lr_examples.schedule("OneCycleLR", lr_examples.EXAMPLES["OneCycleLR"]))
    assert timeline.plan(policies, epochs=EPOCHS).lanes[0].decided == {"rate": "the optimizer's rate: say lr"}
    assert timeline.plan(policies, epochs=EPOCHS, lr=0.1).lanes[0].decided == {}


def test_rates_by_parameter_group_cannot_be_told() -> None:
    policies = timeline.policies_of(lr_examples.schedule("CyclicLR", {"base_lr": [0.1, 0.2], "max_lr": 1.0}))
    assert timeline.plan(policies, epochs=EPOCHS, lr=0.1).lanes[0].decided == {
        "rate": "the optimizer's parameter groups"
    }


def test_masks_for_the_forward_pass_alone_do_not_last() -> None:
    settings = pruner_examples.EXAMPLES["AutomatedGradualPruner"]
    for args, lasts in ({}, True), ({"mask_on_forward_only": True}, False):
        policies = timeline.policies_of(pruner_examples.schedule("AutomatedGradualPruner", settings, args))
        assert timeline.plan(policies, epochs=8).lanes[0].curves[0].lasts is lasts


def test_levels_of_a_policy_and_chance_are_said_without_a_model_too() -> None:
    levels = {"fc.weight": 0.5, "*": 0.2, "conv1.weight": 0.0}
    source = pruner_examples.schedule(
        "SparsityLevelParameterPruner", {"levels": levels}, {"levels": {"fc.weight": 0.9}}
    )
    lane = timeline.plan(timeline.policies_of(source), epochs=8).lanes[0]
    assert [(curve.targets, curve.values[-1]) for curve in lane.curves] == [(("fc.weight",), 0.9)]
    plain = timeline.policies_of(pruner_examples.schedule("SparsityLevelParameterPruner", {"levels": levels}))
    assert {curve.targets: curve.values[0] for curve in timeline.plan(plain, epochs=8).lanes[0].curves} == {
        ("fc.weight",): 0.5, ("every other parameter",): 0.2
    }  # fmt: skip
    name = "BernoulliFilterPruner"
    tossed = timeline.policies_of(pruner_examples.schedule(name, pruner_examples.EXAMPLES[name]))
    assert timeline.plan(tossed, epochs=8).lanes[0].words == "50 %, filters, by chance"


def test_names_are_those_of_the_model_where_there_is_one() -> None:
    source = pruner_examples.schedule("AutomatedGradualPruner", {**pruner_examples.AGP, "weights": "module.fc.weight"})
    model = pruner_examples.convolutional()
    plans = [timeline.plan(timeline.policies_of(source, one), epochs=8, model=one) for one in (None, model)]
    assert [plan.lanes[0].targets for plan in plans] == [("module.fc.weight",), ("fc.weight",)]


def test_faults_of_a_recipe_are_reported_as_ever() -> None:
    with pytest.raises(RecipeError, match="at least 2 firings"):
        source = pruner_examples.schedule("AutomatedGradualPruner", pruner_examples.EXAMPLES["AutomatedGradualPruner"])
        source["policies"][0]["ending_epoch"] = 3
        timeline.policies_of(source)
    with pytest.raises(RecipeError, match="Did you mean 'prune'"):
        timeline.policies_of({"version": 1, "policies": [{"prun": {"schedule": {"cubic": {"final": 0.9}}}}]})


@pytest.mark.parametrize("path", READY, ids=lambda path: path.stem)
def test_every_ready_recipe_has_a_timeline(path: Path) -> None:
    planned = timeline.plan(timeline.policies_of(path), epochs=60, steps_per_epoch=10)
    assert planned.lanes and not planned.idle
    assert all(lane.words and lane.kind != "other" for lane in planned.lanes)
