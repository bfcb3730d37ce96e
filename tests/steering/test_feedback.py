"""λ feedback: the published arithmetic, its edge cases, and its closed loop."""

import pytest
import torch

from prunus.errors import NoEffect, SettingError
from prunus.measure import sparsity
from prunus.optim import AdaBreg
from prunus.regularizers import RegL1, RegNone
from prunus.steering import LambdaScheduler, require_steerable


def scheduler(**settings):
    return LambdaScheduler(**{"initial_lambda": 0.01, "target_sparsity": 0.9, "acceleration_factor": 0.25, **settings})


def test_one_step_by_hand_below_above_and_at_the_target():
    assert scheduler().step(0.5) == pytest.approx(0.01 * (1 + 0.25 * 0.4), abs=1e-15)
    assert scheduler().step(0.95) == pytest.approx(0.01 / (1 + 0.25 * 0.05), abs=1e-15)
    assert scheduler().step(0.9) == 0.01


def test_a_zero_reading_after_a_positive_one_is_replaced_by_the_last():
    steered = scheduler()
    first = steered.step(0.95)
    assert steered.step(0.0) == pytest.approx(first / (1 + 0.25 * 0.05))
    assert scheduler().step(0.0) == pytest.approx(0.01 * (1 + 0.25 * 0.9))
    assert scheduler().step(0.0, last_sparsity=0.95) == pytest.approx(0.01 / (1 + 0.25 * 0.05))


def test_lambda_stays_in_its_bounds_for_ever():
    low, high = scheduler(min_lambda=0.009), scheduler(max_lambda=0.011)
    with pytest.warns(NoEffect, match="stopped at min_lambda=0.009 while the sparsity is 0.99 .target 0.9.: lower"):
        assert {low.step(0.99) for _ in range(50)} >= {0.009}
    with pytest.warns(NoEffect, match="stopped at max_lambda=0.011.*raise max_lambda, or see whether lambda_scale"):
        assert {high.step(0.1) for _ in range(50)} >= {0.011}
    assert low.lambda_value == 0.009 and high.lambda_value == 0.011


def test_a_lambda_of_zero_is_said_to_stay_there():
    still = scheduler(initial_lambda=0.0, min_lambda=0.0)
    with pytest.warns(
        NoEffect, match="λ is 0, which no factor raises, while the sparsity is 0.5 .target 0.9.: give a min"
    ):
        assert [still.step(0.5) for _ in range(3)] == [0.0] * 3
    scheduler(initial_lambda=0.0, min_lambda=0.0).step(0.95)
    scheduler(initial_lambda=0.0, min_lambda=0.0, acceleration_factor=0.0).step(0.5)


def test_initial_lambda_is_set_before_the_first_step_scaled_per_group():
    optimizer = AdaBreg(
        [
            {"params": [torch.ones(2, requires_grad=True)], "reg": RegL1(7.0)},
            {"params": [torch.ones(2, requires_grad=True)], "reg": RegL1(7.0), "lambda_scale": 3.0},
            {"params": [torch.ones(2, requires_grad=True)], "reg": RegL1(7.0), "lambda_scale": 0.0},
        ]
    )
    scheduler().begin(optimizer)
    assert [group["reg"].lamda for group in optimizer.param_groups] == pytest.approx([0.01, 0.03, 7.0])


def test_the_closed_loop_comes_within_a_point_of_the_target():
    torch.manual_seed(0)
    inputs = torch.randn(256, 20)
    outputs = inputs[:, :3].sum(1, keepdim=True)
    weight = (torch.randn(1, 20) * 0.1).requires_grad_()
    hidden = (torch.randn(40, 20) * 0.1).requires_grad_()
    back = (torch.randn(40, 1) * 0.1).requires_grad_()
    optimizer = AdaBreg([hidden, back, weight], lr=1e-2, reg=RegL1(0.01))
    steered = LambdaScheduler(0.01, target_sparsity=0.8, min_lambda=1e-6, max_lambda=10)
    steered.begin(optimizer)
    for step in range(800):
        optimizer.zero_grad()
        ((torch.relu(inputs @ hidden.T) @ back + inputs @ weight.T - outputs) ** 2).mean().backward()
        optimizer.step()
        steered.after_step(optimizer, step, 0.0)
    assert sparsity([hidden, back, weight]) == pytest.approx(0.8, abs=0.01)


def test_state_goes_round_and_unknown_keys_are_refused():
    one, other = scheduler(), scheduler()
    one.step(0.3)
    other.load_state(one.get_state())
    assert other.get_state() == one.get_state() and other.step(0.0) == one.step(0.0)
    with pytest.raises(SettingError, match="missing or unknown keys: lambda, lambda_value"):
        other.load_state({**{k: v for k, v in one.get_state().items() if k != "lambda_value"}, "lambda": 1.0})


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"target_sparsity": 1.2}, "target_sparsity"),
        ({"acceleration_factor": -0.1}, "acceleration_factor"),
        ({"min_lambda": 1.0, "max_lambda": 0.5}, "max_lambda"),
        ({"initial_lambda": float("nan")}, "initial_lambda"),
        ({"max_lambda": float("inf")}, "max_lambda is inf"),
    ],
)
def test_wrong_settings_are_refused(settings, text):
    with pytest.raises(SettingError, match=text):
        scheduler(**settings)


@pytest.mark.parametrize("reading", [-0.1, 1.1, float("nan"), True])
def test_readings_outside_zero_to_one_are_refused(reading):
    with pytest.raises(SettingError, match="current_sparsity"):
        scheduler().step(reading)
    with pytest.raises(SettingError, match="last_sparsity"):
        scheduler().step(0.5, last_sparsity=reading)


def test_an_optimizer_that_cannot_be_steered_is_named():
    with pytest.raises(SettingError, match="got SGD"):
        require_steerable(torch.optim.SGD([torch.ones(1, requires_grad=True)]))
    with pytest.raises(SettingError, match="no group has a regularizer"):
        require_steerable(AdaBreg([torch.ones(1, requires_grad=True)], reg=RegNone()))
