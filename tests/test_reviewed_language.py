"""What a sceptical reader of the schedule language proved wrong once: each stays right."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from typer.testing import CliRunner

from prunus import recipes
from prunus.cli import app
from prunus.errors import CheckpointError, NoEffect, RecipeError, RunError, SettingError
from prunus.recipes import distiller
from prunus.recipes.distiller import DistillerScheduler, PrunerArgs, PruningPolicy
from prunus.recipes.distiller.contract import LRScheduler
from prunus.recipes.distiller.firings import first_shared
from prunus.recipes.distiller.lr_schedulers import ExponentialLR, MultiStepLR, StepLR
from prunus.recipes.distiller.pruners import (
    AutomatedGradualPruner,
    L1RankedStructureParameterPruner,
    SensitivityPruner,
)
from prunus.recipes.lint import lint
from tests.recipes.distiller.loops import batches, loss_of, network, sgd

DENSE = PrunerArgs(mask_on_forward_only=True, use_double_copies=True)
AGP = AutomatedGradualPruner(0.1, 0.5, "4.weight")
COMMAND = CliRunner()


def scheduled(component: Any = AGP, args: PrunerArgs | None = None, *, known: bool = True) -> DistillerScheduler:
    model = network()
    scheduler = distiller.load(model, sgd(model) if known else None)
    policy = component if args is None else PruningPolicy(component, args)
    scheduler.add_policy(policy, starting_epoch=0, ending_epoch=4)
    return scheduler


def what_ends_change(
    scheduler: DistillerScheduler, optimizer: torch.optim.Optimizer, *, every: int = 1, announced: bool = True
) -> list[float]:
    """How far each end of a mini-batch moves the weights after an update, of which every so many happen."""
    moved, weight = [], scheduler.model.get_parameter("4.weight")
    scheduler.on_epoch_begin(0)
    for batch, images, labels in batches(0):
        scheduler.on_minibatch_begin(0, batch, 3)
        loss = scheduler.before_backward_pass(0, batch, 3, loss_of(scheduler.model, images, labels))
        assert isinstance(loss, Tensor)
        loss.backward()
        if announced:
            scheduler.before_parameter_optimization(0, batch, 3, None)
        if batch % every == every - 1:
            optimizer.step()
        before = weight.detach().clone()
        scheduler.on_minibatch_end(0, batch, 3)
        moved.append(float((weight.detach() - before).abs().sum()))
    return moved


@pytest.mark.parametrize("every", [1, 2, 3])
def test_double_copies_keep_updates_where_some_steps_are_skipped(every: int) -> None:
    scheduler = scheduled(args=DENSE)
    assert scheduler.optimizer is not None
    assert what_ends_change(scheduler, scheduler.optimizer, every=every) == [0.0, 0.0, 0.0]


def test_an_update_that_nobody_announced_is_not_undone_in_silence() -> None:
    scheduler = scheduled(args=DENSE, known=False)
    with pytest.raises(RunError, match="call before_parameter_optimization, or give load the optimizer"):
        what_ends_change(scheduler, sgd(scheduler.model), announced=False)
    scheduler = scheduled(args=DENSE, known=False)
    assert what_ends_change(scheduler, sgd(scheduler.model)) == [0.0, 0.0, 0.0]


def test_the_state_of_another_class_is_refused() -> None:
    saved = scheduled(SensitivityPruner({"4.weight": 0.5})).state_dict()
    with pytest.raises(CheckpointError, match="SensitivityPruner.*AutomatedGradualPruner"):
        scheduled().load_state_dict(saved)


def test_ending_an_epoch_twice_does_not_begin_the_next_one() -> None:
    scheduler = scheduled()
    scheduler.on_epoch_begin(0)
    scheduler.on_epoch_end(0)
    with pytest.raises(RunError, match="a callback of epoch 0 was called in epoch 1"):
        scheduler.on_epoch_end(0)
    scheduler.on_epoch_begin(1)


def test_epochs_and_a_frequency_are_too_much() -> None:
    with pytest.raises(SettingError, match="either epochs, or starting_epoch"):
        distiller.load(network(), None).add_policy(AGP, epochs=[0, 1], frequency=2)


@pytest.mark.parametrize(
    ("component", "groups"),
    [
        (AutomatedGradualPruner(0.0, 0.001, "4.weight"), "0.001 of the 80 groups of 4.weight"),
        (
            L1RankedStructureParameterPruner(group_type="Filters", desired_sparsity=0.2, weights="0.weight"),
            "0.2 of the 4 groups of 0.weight",
        ),
    ],
)
def test_a_share_of_less_than_one_group_is_said(component: Any, groups: str) -> None:
    with pytest.warns(NoEffect, match=f"{groups} is less than one, so nothing goes"):
        scheduled(component)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_file_that_cannot_be_included_is_not_offered_in_its_own_place(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "parts.yaml")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("version: 1\ninclude: parts.yaml\npolicies: [{prune: {schedule: {one_shot: {final: 0.5}}}}]\n")
    with pytest.raises(RecipeError) as refused:
        recipes.load(recipe)
    assert "'parts.yaml' cannot be included (not a file)" in str(refused.value)
    assert "Did you mean 'parts.yaml'" not in str(refused.value)


SCHEDULE = """\
version: 1
pruners:
  fc: {class: AutomatedGradualPruner, initial_sparsity: 0.05, final_sparsity: 0.8, weights: 0.weight}
policies:
  - {pruner: {instance_name: fc}, starting_epoch: 0, ending_epoch: 9, frequency: 2}
"""


@pytest.fixture
def schedule(tmp_path: Path) -> Path:
    path = tmp_path / "schedule.yaml"
    path.write_text(SCHEDULE)
    return path


def test_a_schedule_is_not_converted_over_itself(schedule: Path) -> None:
    (schedule.parent / "link.yaml").symlink_to(schedule)
    for output in (schedule, schedule.parent / "link.yaml"):
        result = COMMAND.invoke(app, ["convert", str(schedule), "-o", str(output)])
        assert result.exit_code == 2 and "the schedule itself" in result.output
    assert schedule.read_text() == SCHEDULE


@pytest.mark.parametrize("command", [["convert"], ["timeline", "--epochs", "9"]])
def test_what_cannot_be_written_is_a_sentence(schedule: Path, command: list[str]) -> None:
    folder = schedule.parent / "taken.svg"
    folder.mkdir()
    result = COMMAND.invoke(app, [*command, str(schedule), "-o", str(folder)])
    assert isinstance(result.exception, SettingError)
    assert str(result.exception) == f"{folder} cannot be written (Is a directory)"


@pytest.mark.parametrize(
    ("where", "said"),
    [
        (
            "{pruner: {instance_name: fc, frequency: 2}",
            "frequency belongs one level higher, beside pruner in policies[0]",
        ),
        (
            "{pruner: {instance_name: fc, keep_mask: true}",
            "keep_mask belongs one level deeper, into the args of pruner",
        ),
        ("{keep_mask: true, pruner: {instance_name: fc}", "two levels deeper, into the args of pruner or regularizer"),
        ("{pruner: {instance_name: fc, frequencyy: 2}", "Known: args, instance_name."),
    ],
)
def test_a_key_at_the_wrong_level_is_told_where_it_belongs(where: str, said: str) -> None:
    (fault,) = distiller.check(SCHEDULE.replace("{pruner: {instance_name: fc}", where))
    assert said in str(fault) and fault.rename is None


@pytest.mark.parametrize("name", [["a"], {}, 3, None, True])
def test_a_class_that_is_no_name_is_an_error_of_the_schedule(name: Any) -> None:
    use = {"pruner": {"instance_name": "fc"}, "epochs": [0]}
    (fault,) = distiller.check({"pruners": {"fc": {"class": name}}, "policies": [use]})
    assert fault.message.startswith("class is ") and fault.message.endswith(", expected a name")


RANGES = st.builds(range, st.integers(0, 12), st.integers(1, 60), st.integers(1, 9))
TIMES = RANGES | RANGES.map(tuple)


@given(TIMES, TIMES)
def test_where_firings_meet(one: Sequence[int], other: Sequence[int]) -> None:
    assert first_shared(one, other) == min({*one} & {*other}, default=None)


def test_policies_of_a_billion_epochs_are_compared_without_writing_them_out() -> None:
    use = {"pruner": {"instance_name": "fc"}, "starting_epoch": 0, "ending_epoch": 10**18, "frequency": 10**9}
    pruner = {"class": "SparsityLevelParameterPruner", "levels": {"0.weight": 0.5}}
    policies = [use, {**use, "starting_epoch": 1}, {**use, "starting_epoch": 3, "frequency": 10**9 + 7}]
    faults = distiller.check({"pruners": {"fc": pruner}, "policies": policies})
    assert [fault.code for fault in faults] == ["conflict", "conflict"]


def test_a_recipe_that_cannot_be_put_right_is_a_sentence(schedule: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise PermissionError(13, "Permission denied")

    schedule.write_text(SCHEDULE.replace("policies", "polices"))
    monkeypatch.setattr(os, "replace", refuse)
    result = COMMAND.invoke(app, ["lint", "--fix", str(schedule)])
    assert str(result.exception) == f"{schedule} cannot be written (Permission denied)"
    assert [path.name for path in schedule.parent.iterdir()] == ["schedule.yaml"]


@pytest.mark.parametrize("model", [None, nn.Sequential(nn.Linear(4, 4))])
def test_misspelt_policies_of_a_schedule_are_linted(model: nn.Module | None) -> None:
    (fault, *_) = lint(SCHEDULE.replace("policies", "polices"), model=model).faults
    assert fault.rename == ("polices", "policies")


@pytest.mark.parametrize("rates", [ExponentialLR(1e308), StepLR(1, 1e308), MultiStepLR((1, 2, 3), 1e308)])
def test_a_rate_past_the_largest_float_is_refused_in_its_epoch(rates: LRScheduler) -> None:
    model = network()
    running = rates.rates(sgd(model))
    with pytest.raises(RunError, match="LR gives the learning rate inf in epoch 4"):
        running.step(4, None)


def test_an_end_that_is_no_number_is_an_error() -> None:
    model = network()
    scheduler = distiller.load(model, sgd(model))
    with pytest.raises(SettingError, match="ending_epoch is '3'"):
        scheduler.add_policy(AGP, starting_epoch=0, ending_epoch="3", frequency=1)  # type: ignore[arg-type]
