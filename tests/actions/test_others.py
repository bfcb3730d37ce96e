"""Regularize, Steer and SetLR do what they say, and nothing outside their window."""

import pytest
import torch

from prunus.actions import Regularize, SetLR, Steer
from prunus.errors import ScoreError, StructureError
from prunus.optim import AdaBreg
from prunus.policy import Policy
from prunus.regularizers import GroupLasso, RegL1, RegL1L2Conv
from prunus.scheduler import CompressionScheduler
from prunus.schedules import Cubic, Linear
from prunus.select import Select
from prunus.steering import LambdaScheduler, SparsityBudget
from prunus.structures import Filter
from prunus.window import Window
from tests import models


def one():
    return torch.tensor(1.0)


def test_a_penalty_is_the_value_of_the_regularizer_over_the_selection():
    model = models.mlp()
    scheduler = CompressionScheduler(model, [Regularize(RegL1(0.1), Select(include=("0.*",)))], epochs=1)
    expected = 1 + 0.1 * model[0].weight.abs().sum().item()
    assert scheduler.loss(one()).item() == pytest.approx(expected, rel=1e-6)


def test_a_penalty_acts_in_its_window_only():
    scheduler = CompressionScheduler(models.mlp(), [Policy(Regularize(RegL1(0.1)), Window(1, 3, frequency=2))])
    active = [scheduler.loss(one()).item() > 1 for _ in scheduler.epochs(4)]
    assert active == [False, True, False, False]


def test_penalties_add_up_and_the_strength_can_be_changed_between_steps():
    regularizer = RegL1(0.1)
    model = models.mlp()
    scheduler = CompressionScheduler(model, [Regularize(regularizer), Regularize(RegL1(0.2))], epochs=1)
    first = scheduler.penalty().item()
    regularizer.lamda = 0.0
    assert scheduler.penalty().item() == pytest.approx(first * 2 / 3, rel=1e-5)


def test_a_strength_of_zero_adds_nothing_to_the_graph():
    scheduler = CompressionScheduler(models.mlp(), [Regularize(RegL1(0.0))], epochs=1)
    loss = one()
    assert scheduler.penalty() is None and scheduler.loss(loss) is loss


def test_a_regularizer_that_does_not_fit_shows_before_training():
    with pytest.raises(StructureError):
        CompressionScheduler(models.mlp(), [Regularize(RegL1L2Conv(0.1))])


def test_transposed_convolutions_are_charged_by_output_channel():
    model = models.convs()
    select = Select(include=("2.weight",))
    scheduler = CompressionScheduler(model, [Regularize(GroupLasso(1.0, Filter()), select)], epochs=1)
    columns = model[2].weight.transpose(0, 1).flatten(1)
    expected = columns.shape[1] ** 0.5 * columns.norm(dim=1).sum().item()
    assert scheduler.penalty().item() == pytest.approx(expected, rel=1e-5)


def test_the_learning_rate_follows_its_schedule_and_stays_where_the_window_leaves_it():
    model = models.mlp()
    optimizer = torch.optim.SGD(
        [{"params": model[0].parameters()}, {"params": model[2].parameters(), "lr": 0.2}], lr=1.0
    )
    decay = Policy(SetLR(Linear(initial=1.0, final=0.0)), Window(1, 4, unit="step"))
    scheduler = CompressionScheduler(model, [decay], optimizer=optimizer, steps_per_epoch=6)
    seen = []
    for _ in scheduler.epochs(1):
        for _ in range(6):
            optimizer.step()
            seen.append([group["lr"] for group in optimizer.param_groups])
    assert [pair[0] for pair in seen] == pytest.approx([1.0, 1.0, 0.5, 0.0, 0.0, 0.0])
    assert [pair[1] for pair in seen] == pytest.approx([0.2, 0.2, 0.1, 0.0, 0.0, 0.0])


def test_a_group_added_during_training_starts_from_its_own_rate():
    model = models.mlp()
    optimizer = torch.optim.SGD(model[0].parameters(), lr=1.0)
    scheduler = CompressionScheduler(
        model, [SetLR(Linear(initial=1.0, final=0.5))], optimizer=optimizer, steps_per_epoch=3
    )
    for _ in scheduler.epochs(1):
        optimizer.step()
        optimizer.add_param_group({"params": list(model[2].parameters()), "lr": 0.2})
        optimizer.step()
        assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.75, 0.15])
        optimizer.step()


@pytest.mark.parametrize(
    "steering", [LambdaScheduler(target_sparsity=0.5), SparsityBudget(0.5)], ids=["feedback", "budget"]
)
def test_steering_logs_lambda_and_acts_on_the_regularized_groups_only(steering):
    model = models.mlp()
    optimizer = AdaBreg(
        [
            {"params": [model[0].weight], "reg": RegL1(0.01)},
            {"params": [model[0].bias], "reg": RegL1(0.01), "lambda_scale": 0.5},
            {"params": [model[2].weight, model[2].bias]},
        ],
        lr=0.01,
    )
    scheduler = CompressionScheduler(model, [Steer(steering)], optimizer=optimizer, steps_per_epoch=20)
    for _ in scheduler.epochs(1):
        for _ in range(20):
            optimizer.zero_grad()
            model(torch.randn(4, 8)).square().mean().backward()
            optimizer.step()
    assert scheduler.count().total == 128 + 16
    assert scheduler.history[0]["lambda"] == max(group["reg"].lamda for group in optimizer.param_groups[:2])
    assert model[2].weight.all()


def test_a_budget_follows_the_run_not_the_window_of_another_policy():
    model = torch.nn.Linear(10, 10, bias=False)
    optimizer = AdaBreg(model.parameters(), lr=0.001, reg=RegL1(1e-4))
    budget = Steer(SparsityBudget(0.9, schedule=Cubic(0.9), ramp=1.0))
    scheduler = CompressionScheduler(model, [budget], optimizer=optimizer, steps_per_epoch=4)
    for _ in scheduler.epochs(2):
        for _ in range(4):
            model.weight.grad = torch.randn(10, 10)
            optimizer.step()
    levels = [0.9 - 0.9 * (1 - step / 7) ** 3 for step in (3, 7)]
    assert [row["budget_sparsity"] for row in scheduler.history] == pytest.approx(levels)
    assert scheduler.sparsity() == 0.9


def test_weights_that_diverge_under_a_budget_are_named():
    model = models.mlp()
    first, last = model[0].weight, model[-1].weight
    optimizer = AdaBreg([first, last], lr=0.1, reg=RegL1(0.1))
    scheduler = CompressionScheduler(model, [Steer(SparsityBudget(0.9))], optimizer=optimizer, steps_per_epoch=2)
    for epoch in scheduler.epochs(2):
        for _ in range(2):
            optimizer.zero_grad()
            model(torch.randn(4, 8)).square().mean().backward()
            if epoch:
                optimizer.state[last]["sub_grad"].view(-1)[3] = torch.nan
                with pytest.raises(ScoreError, match="Steer did nothing, for 2.weight holds NaN: scores"):
                    optimizer.step()
                return
            optimizer.step()
