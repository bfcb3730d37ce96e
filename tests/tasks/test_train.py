"""The training loop: it learns, it records, it repeats itself, it leaves no policy unfired."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from prunus import measure
from prunus.actions import Prune, SetLR, Steer
from prunus.optim import AdaBreg
from prunus.policy import Policy
from prunus.regularizers import RegL1
from prunus.report import Point
from prunus.schedules import Cubic, Linear
from prunus.steering import SparsityBudget
from prunus.tasks.vision import History, ImageSet, build, evaluate, train
from prunus.window import Window


def stripes(count: int) -> ImageSet:
    """Ten classes of images, each a bright stripe at its own height: learnt in a few steps."""
    labels = torch.arange(count) % 10
    images = torch.zeros(count, 1, 28, 28)
    for place, label in enumerate(labels.tolist()):
        images[place, 0, 2 * label : 2 * label + 3] = 1.0
    return ImageSet("stripes", "made by hand.", images, labels, images, labels)


def trained(watch: list[Point] | None = None) -> tuple[History, Tensor]:
    model = build("lenet_300_100", seed=1)
    optimizer = AdaBreg([{"params": [model.fc1.weight, model.fc2.weight], "reg": RegL1(0.004)}], lr=2e-3)
    policies = [Policy(Steer(SparsityBudget(0.9, period=5))), Policy(SetLR(Linear(initial=1.0, final=0.0)))]
    seen = None if watch is None else watch.append
    history = train(model, stripes(80), policies, optimizer, epochs=3, batch_size=8, every=4, watch=seen)
    return history, model.fc1.weight.detach()


def test_it_learns_and_keeps_the_budget() -> None:
    history, weight = trained()
    assert history.accuracy == 1.0 and history.points[-1].sparsity == 0.9
    assert history.points[-1].loss < history.points[0].loss
    assert measure.sparsity(weight) > 0.8 and history.cpu_seconds > 0 and history.seconds > 0


def test_two_runs_from_one_seed_are_the_same_to_the_bit() -> None:
    (one, first), (two, second) = trained(), trained()
    assert first.equal(second) and one.points == two.points


def test_readings_come_every_few_steps_and_at_each_epoch_with_the_accuracy() -> None:
    seen: list[Point] = []
    history, _ = trained(watch=seen)
    assert seen == history.points
    assert [round(10 * point.epoch) for point in seen] == [4, 8, 10, 14, 18, 20, 24, 28, 30]
    assert [point.accuracy is not None for point in seen] == [False, False, True] * 3
    assert all(point.lamda == 0.004 for point in seen)


def test_masks_of_a_pruning_policy_hold_to_the_end() -> None:
    model = build("lenet_300_100")
    gradual = Policy(Prune(Cubic(0.95)), Window(0, "0.6dur", frequency=3, unit="step"))
    train(model, stripes(40), [gradual], torch.optim.Adam(model.parameters()), epochs=2, batch_size=4)
    assert str(measure.count(model)) == "95.00 % (13,310 of 266,200 left)"


def test_evaluation_leaves_the_mode_alone() -> None:
    model = build("lenet_300_100")
    assert 0.0 <= evaluate(model.train(), stripes(20)) <= 1.0 and model.training
    evaluate(model.eval(), stripes(20))
    assert not model.training


def test_a_history_without_readings_has_no_accuracy() -> None:
    assert History().accuracy == 0.0


@pytest.mark.parametrize("settings", [{"epochs": 0}, {"epochs": 1, "batch_size": 0}])
def test_impossible_settings_are_refused(settings: dict[str, int]) -> None:
    model = build("lenet_300_100")
    with pytest.raises(ValueError, match="is 0, expected a whole number"):
        train(model, stripes(4), [], torch.optim.Adam(model.parameters()), **settings)
