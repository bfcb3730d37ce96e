"""The quantile against its twin, and each promise of its method card."""

import pytest
import torch

from prunus.actions import Prune, Steer
from prunus.errors import NoEffect, SettingError
from prunus.masks import MaskStore
from prunus.optim import AdaBreg, LinBreg, ProxSGD
from prunus.regularizers import GroupLasso, RegL1, RegL1Pos, RegSoftBernoulli
from prunus.scheduler import CompressionScheduler
from prunus.schedules import Linear, OneShot
from prunus.steering import QuantileLambda
from prunus.steering._survivors import pools
from prunus.steering.quantile import quantile
from prunus.structures import Filter
from tests import models
from tests.laws.test_steering import problem
from tests.twins.steering import quantile_step


def stepped(weights, reg, **settings):
    """An optimizer after one step that moved nothing, so that the duals are those of the weights."""
    optimizer = LinBreg(weights, lr=0.0, reg=reg, **settings)
    for group in optimizer.param_groups:
        for weight in group["params"]:
            weight.grad = torch.ones_like(weight)
    optimizer.step()
    return optimizer


@pytest.mark.parametrize("delta", [1.0, 0.5])
def test_fifty_steps_equal_the_twin(delta):
    (weight,), gradients = problem([(9, 7)], steps=50)
    weight = weight.detach().double().requires_grad_()
    optimizer = LinBreg([weight], lr=0.1, reg=RegL1(0.02), delta=delta)
    steering = QuantileLambda(0.8, Linear(0.8, initial=0.95), ramp=0.5)
    theta = weight.detach().flatten().tolist()
    dual = [x / delta + 0.02 * (x > 0) - 0.02 * (x < 0) for x in theta]
    for step, (gradient,) in enumerate(gradients):
        weight.grad = gradient.double()
        optimizer.step()
        steering.after_step(optimizer, step, step / 49)
        for i, slope in enumerate(gradient.double().flatten().tolist()):
            dual[i] -= 0.1 * slope
        lamda = quantile_step(theta, dual, delta, 0.95 - 0.15 * min(1.0, step / 49 / 0.5))
        assert steering.metrics()["lambda"] == pytest.approx(lamda, rel=1e-9)
        assert torch.allclose(weight.detach().flatten(), torch.tensor(theta, dtype=torch.float64), atol=1e-12), step


def test_ties_live_in_order_just_past_the_edge():
    weights = [torch.full((3,), 0.5, requires_grad=True), torch.full((3,), -0.5, requires_grad=True)]
    optimizer = stepped(weights, RegL1(0.1))
    QuantileLambda(target=0.34).after_step(optimizer, 0, 0.0)
    assert optimizer.param_groups[0]["reg"].lamda == pytest.approx(0.6)
    assert [int(weight.count_nonzero()) for weight in weights] == [3, 1] and weights[1][0] < 0
    assert weights[0].detach().tolist() == pytest.approx([0.0006] * 3, rel=1e-3)


def test_each_structure_gets_its_own_exact_count_and_scales_are_respected():
    single, kernels = torch.randn(10, 10, requires_grad=True), torch.randn(8, 2, 3, 3, requires_grad=True)
    groups = [
        {"params": [single], "reg": RegL1(0.1), "lambda_scale": 2.0},
        {"params": [kernels], "reg": GroupLasso(0.1, structure=Filter())},
    ]
    optimizer = stepped(groups, None)
    QuantileLambda(target=0.75).after_step(optimizer, 0, 0.0)
    assert int(single.count_nonzero()) == 25 and int(kernels.flatten(1).any(dim=1).sum()) == 2
    pool = next(each for each in pools(optimizer) if each.members[0].parameter is single)
    assert optimizer.param_groups[0]["reg"].lamda == pytest.approx(2.0 * quantile(pool, 25))


def test_negative_duals_never_make_a_positive_weight():
    weight = torch.tensor([0.5, 0.4, 0.3, 0.2], requires_grad=True)
    optimizer = stepped([weight], RegL1Pos(0.1))
    optimizer.state[weight]["sub_grad"].neg_()[0] = 0.9
    QuantileLambda(target=0.75).after_step(optimizer, 0, 0.0)
    assert weight.ne(0).tolist() == [True, False, False, False] and bool((weight >= 0).all())


def test_masked_weights_never_live_and_what_they_leave_short_is_said():
    torch.manual_seed(0)
    model = models.mlp()
    weights = [p for p in model.parameters() if p.dim() > 1]
    rest = [p for p in model.parameters() if p.dim() == 1]
    optimizer = AdaBreg([{"params": weights, "reg": RegL1(0.01)}, {"params": rest}], lr=0.01)
    policies = [Prune(OneShot(0.8)), Steer(QuantileLambda(0.5))]
    scheduler = CompressionScheduler(model, policies, optimizer=optimizer, steps_per_epoch=3)
    with pytest.warns(NoEffect, match="places stay empty, because masks hold the rest at zero") as said:
        for _ in scheduler.epochs(2):
            for _ in range(3):
                optimizer.zero_grad()
                model(torch.randn(4, 8)).square().mean().backward()
                optimizer.step()
    assert len(said) == 1
    assert scheduler.count().sparsity == pytest.approx(0.8, abs=0.01)
    assert scheduler.history[-1]["survivors"] == scheduler.count().kept


def test_kept_survivors_agree_with_their_duals_after_the_next_step():
    weight = torch.tensor([0.5, -0.4, 0.3, 0.2], requires_grad=True)
    optimizer = stepped([weight], RegL1(0.1), lambda_change="keep_survivors")
    QuantileLambda(target=0.5).after_step(optimizer, 0, 0.0)
    before = weight.detach().clone()
    optimizer.step()
    assert torch.equal(weight, before)


def test_without_a_schedule_the_length_of_the_run_is_not_needed():
    assert not Steer(QuantileLambda(0.5)).needs_progress and Steer(QuantileLambda(0.5, Linear(0.5))).needs_progress


def test_a_parameter_without_gradient_is_named_when_the_run_is_over():
    weight, idle = torch.randn(8, requires_grad=True), torch.ones(4, requires_grad=True)
    optimizer = LinBreg([weight, idle], lr=0.1, reg=RegL1(0.1))
    weight.grad = torch.ones(8)
    optimizer.step()
    steering = QuantileLambda(0.5)
    steering.after_step(optimizer, 0, 0.0)
    with pytest.warns(NoEffect, match="1 steered parameters never had a gradient and stay as they are$"):
        steering.finish(optimizer)
    assert int(weight.count_nonzero()) == 4


@pytest.mark.parametrize(
    ("optimizer", "text"),
    [
        (lambda weight: ProxSGD([weight], reg=RegL1(0.1)), "acts on the dual, which ProxSGD does not keep"),
        (lambda weight: AdaBreg([weight], reg=RegSoftBernoulli(0.1)), "its prox is random"),
    ],
)
def test_what_it_cannot_steer_is_refused(optimizer, text):
    with pytest.raises(SettingError, match=text):
        QuantileLambda(0.5).prepare(optimizer(torch.ones(3, requires_grad=True)), MaskStore([]))


def test_a_schedule_must_end_at_the_target():
    with pytest.raises(SettingError, match="target is 0.5, but the schedule ends at 0.6"):
        QuantileLambda(0.5, Linear(0.6))
