"""The sparsity budget against its twin, and each promise of its method card."""

import pytest
import torch

from prunus.actions import Steer
from prunus.errors import NoEffect, ScoreError, SettingError
from prunus.masks import MaskStore
from prunus.optim import AdaBreg, LinBreg, ProxSGD
from prunus.policy import Policy
from prunus.regularizers import RegL1, RegNone, RegSoftBernoulli
from prunus.scheduler import CompressionScheduler
from prunus.schedules import Cubic, Linear
from prunus.steering import SparsityBudget
from prunus.steering._member import small
from prunus.steering.budget import room_at
from prunus.window import Window
from tests.laws.test_steering import problem
from tests.twins.steering import budget_step


@pytest.mark.parametrize(
    ("lamda", "delta", "rise"), [(0.02, 1.0, 0.0), (0.3, 0.5, 0.0), (0.0, 2.0, 0.0), (0.02, 1.0, 0.05)]
)
def test_a_hundred_steps_equal_the_twin(lamda, delta, rise):
    (weight,), gradients = problem([(9, 7)], steps=100)
    weight = weight.detach().double().requires_grad_()
    optimizer = LinBreg([weight], lr=0.1, reg=RegL1(lamda), delta=delta)
    settings = {"ramp": 0.6, "room": 0.4, "period": 7, "back": 0.5}
    budget = SparsityBudget(target=0.8, room_until=0.75, rise=rise, **settings)
    theta = weight.detach().flatten().tolist()
    dual = [x / delta + lamda * (x > 0) - lamda * (x < 0) for x in theta]
    for step, (gradient,) in enumerate(gradients):
        progress = step / 99
        weight.grad = gradient.double()
        optimizer.step()
        budget.after_step(optimizer, step, progress)
        for i, slope in enumerate(gradient.double().flatten().tolist()):
            dual[i] -= 0.1 * slope
            theta[i] = delta * max(abs(dual[i]) - lamda, 0.0) * (1 if dual[i] > 0 else -1)
        level = 0.8 - 0.8 * (1 - min(1.0, progress / 0.6)) ** 3
        budget_step(theta, dual, lamda, delta, 0.8, level, progress, step, until=0.75, **settings)
        lamda += rise * 0.1 if progress < 0.75 else 0.0
        ours = weight.detach().flatten()
        assert torch.allclose(ours, torch.tensor(theta, dtype=torch.float64), rtol=1e-9, atol=1e-12), step
        held = optimizer.state[weight]["sub_grad"].flatten()
        assert torch.allclose(held, torch.tensor(dual, dtype=torch.float64), rtol=1e-9, atol=1e-12), step


def test_dropped_duals_lie_back_inside_the_dead_zone_with_their_sign():
    weight = torch.tensor([0.5, -0.2, 0.1, -0.05], requires_grad=True)
    optimizer = AdaBreg([weight], lr=0.0, reg=RegL1(0.1))
    weight.grad = torch.ones(4)
    optimizer.step()
    SparsityBudget(target=0.5, back=0.25).after_step(optimizer, 0, 1.0)
    assert torch.allclose(weight.detach(), torch.tensor([0.5, -0.2, 0.0, 0.0]))
    assert torch.allclose(optimizer.state[weight]["sub_grad"], torch.tensor([0.6, -0.3, 0.025, -0.025]))


def test_a_rise_is_counted_in_learning_rates_of_each_group_and_ends_with_room():
    weights = [torch.rand(8, requires_grad=True) for _ in range(2)]
    groups = [{"params": [weights[0]], "reg": RegL1(0.1), "lr": 0.5}, {"params": [weights[1]], "reg": RegL1(0.1)}]
    optimizer = AdaBreg([{**groups[0], "lambda_scale": 2.0}, groups[1]], lr=0.01)
    before = [group["reg"].lamda for group in optimizer.param_groups]
    budget = SparsityBudget(target=0.0, rise=0.2, room_until=0.5)
    for step, progress in enumerate((0.0, 0.49, 0.5, 1.0)):
        for weight in weights:
            weight.grad = torch.zeros(8)
        optimizer.step()
        budget.after_step(optimizer, step, progress)
    gained = [group["reg"].lamda - start for group, start in zip(optimizer.param_groups, before, strict=True)]
    assert gained == pytest.approx([2 * 0.2 * 0.5 * 2.0, 2 * 0.2 * 0.01])


def test_ties_fall_to_the_later_parameter_and_the_higher_index():
    weights = [torch.full((3,), 0.5, requires_grad=True), torch.full((3,), -0.5, requires_grad=True)]
    optimizer = AdaBreg(weights, lr=0.0, reg=RegL1(0.1))
    for weight in weights:
        weight.grad = torch.ones(3)
    optimizer.step()
    SparsityBudget(target=0.34, schedule=Linear(0.34)).after_step(optimizer, 0, 1.0)
    assert [int(weight.count_nonzero()) for weight in weights] == [3, 1] and weights[1][0] != 0


def test_without_room_no_weight_returns_and_with_room_some_do():
    def returned(room):
        (weight,), gradients = problem([(20, 20)], steps=200, seed=3)
        optimizer = AdaBreg([weight], lr=0.02, reg=RegL1(0.02))
        budget, back = SparsityBudget(target=0.8, ramp=0.1, room=room, period=10), 0
        for step, (gradient,) in enumerate(gradients):
            dead = weight.detach() == 0
            weight.grad = gradient.clone()
            optimizer.step()
            budget.after_step(optimizer, step, step / 199)
            if step > 20:
                back += int((dead & (weight.detach() != 0)).sum())
        return back

    assert returned(0.5) > 5 * max(1, returned(0.0))


def test_while_room_is_open_a_lambda_that_zeroes_more_than_asked_is_left_alone_then_the_nearest_dead_return():
    weight = torch.tensor([0.9, 0.05, -0.08, 0.01], requires_grad=True)
    optimizer = LinBreg([weight], lr=0.1, reg=RegL1(0.2))
    weight.grad = torch.tensor([0.0, 1.0, 0.0, 0.0])
    optimizer.step()
    optimizer.param_groups[0]["reg"].lamda = 0.5
    optimizer.step()
    assert int(weight.count_nonzero()) == 1
    budget = SparsityBudget(target=0.5)
    budget.after_step(optimizer, 0, 0.7)
    assert int(weight.count_nonzero()) == 1
    budget.after_step(optimizer, 0, 0.75)
    assert weight.ne(0).tolist() == [True, False, True, False] and weight[2] < 0


def test_groups_without_regularizer_or_lambda_scale_are_left_alone():
    held, free, unscaled = (torch.full((10,), 0.5, requires_grad=True) for _ in range(3))
    groups = [
        {"params": [held], "reg": RegL1(0.1)},
        {"params": [free], "reg": RegNone()},
        {"params": [unscaled], "reg": RegL1(0.1), "lambda_scale": 0.0},
    ]
    optimizer = AdaBreg(groups, lr=0.0)
    for weight in (held, free, unscaled):
        weight.grad = torch.ones(10)
    optimizer.step()
    SparsityBudget(target=0.9).after_step(optimizer, 0, 1.0)
    assert [int(weight.count_nonzero()) for weight in (held, free, unscaled)] == [1, 10, 10]


def test_a_parameter_that_never_had_a_gradient_does_not_compete():
    used, unused = torch.ones(4, requires_grad=True), torch.ones(4, requires_grad=True)
    optimizer = AdaBreg([used, unused], lr=0.0, reg=RegL1(0.1))
    used.grad = torch.ones(4)
    optimizer.step()
    with pytest.warns(NoEffect, match="1 steered parameters never had a gradient"):
        SparsityBudget(target=0.5).after_step(optimizer, 0, 1.0)
    assert int(used.count_nonzero()) == 2 and int(unused.count_nonzero()) == 4


def test_room_closes_smoothly_at_its_end():
    assert room_at(0.0, 0.3, 0.0) == 0.0 and room_at(0.9, 0.3, 0.75) == 0.0
    assert room_at(0.7499, 0.3, 0.75) < 1e-6 < room_at(0.5, 0.3, 0.75)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"target": 98}, "for 98 % write 0.98"),
        ({"target": 0.5, "room": 1.0}, "a refresh must leave survivors"),
        ({"target": 0.5, "ramp": 0.0}, "ramp is 0.0"),
        ({"target": 0.5, "period": 0}, "period is 0"),
        ({"target": 0.5, "back": 1.5}, "back is 1.5"),
        ({"target": 0.5, "schedule": Cubic(0.6)}, "target is 0.5, but the schedule ends at 0.6"),
    ],
)
def test_wrong_settings_are_refused(settings, text):
    with pytest.raises(SettingError, match=text):
        SparsityBudget(**settings)


def test_a_random_regularizer_is_refused():
    optimizer = AdaBreg([torch.ones(3, requires_grad=True)], reg=RegSoftBernoulli(0.1))
    with pytest.raises(SettingError, match="its prox is random"):
        SparsityBudget(0.5).prepare(optimizer, MaskStore([]))


def test_an_optimizer_without_duals_is_refused():
    optimizer = ProxSGD([torch.ones(3, requires_grad=True)], reg=RegL1(0.1))
    with pytest.raises(SettingError, match="which ProxSGD does not keep"):
        SparsityBudget(0.5).prepare(optimizer, MaskStore([]))


def test_nan_weights_are_named_not_ranked():
    weight = torch.ones(4, requires_grad=True)
    optimizer = AdaBreg([weight], lr=0.1, reg=RegL1(0.1))
    weight.grad = torch.tensor([0.0, float("nan"), 0.0, 0.0])
    optimizer.step()
    with pytest.raises(ScoreError, match="NaN"):
        SparsityBudget(0.5).after_step(optimizer, 0, 1.0)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_the_small_are_the_same_in_every_precision(dtype):
    weight = torch.tensor([[0.0, -0.25, 0.5], [-0.5, float("nan"), 0.125]], dtype=dtype)
    assert small(weight, 0.25).tolist() == [1, 4, 5]


def test_the_defaults_are_the_documented_ones():
    settings = "ramp=0.6, room=0.3, room_until=0.75, period=200, back=0.5, rise=0.0"
    assert repr(SparsityBudget(0.5)) == f"SparsityBudget(target=0.5, schedule={Cubic(0.5)!r}, {settings})"


@pytest.mark.parametrize("reach", [0.0, 1.0, float("inf")])
def test_the_guess_of_how_far_to_look_never_changes_the_choice(reach, monkeypatch):
    def run():
        weights, gradients = problem([(20, 20), (30,)], steps=80, seed=1)
        optimizer, budget = AdaBreg(weights, lr=0.02, reg=RegL1(0.02)), SparsityBudget(target=0.8, period=9)
        for step, gradient in enumerate(gradients):
            for weight, slope in zip(weights, gradient, strict=True):
                weight.grad = slope.clone()
            optimizer.step()
            budget.after_step(optimizer, step, step / 79)
        return weights

    guessed = run()
    monkeypatch.setattr("prunus.steering._survivors.REACH", reach)
    assert all(torch.equal(one, other) for one, other in zip(guessed, run(), strict=True))


@pytest.mark.parametrize(("end", "lost"), [(10, True), (20, False)])
def test_weights_that_return_behind_the_window_are_said(end, lost, recwarn):
    torch.manual_seed(0)
    model = torch.nn.Linear(20, 10, bias=False)
    optimizer = AdaBreg(model.parameters(), lr=0.05, reg=RegL1(1e-4))
    policy = Policy(Steer(SparsityBudget(0.5)), Window(0, end, unit="step"))
    scheduler = CompressionScheduler(model, [policy], optimizer=optimizer, steps_per_epoch=10)
    for _ in scheduler.epochs(2):
        for _ in range(10):
            optimizer.zero_grad()
            model(torch.randn(4, 20)).square().mean().backward()
            optimizer.step()
    told = [str(warning.message) for warning in recwarn.list]
    assert (scheduler.sparsity() < 0.5) == lost == bool(told)
    assert all(text.startswith("the sparsity budget left 100 alive when its window ended, and ") for text in told)
