"""The identities I1 to I10 of Bregman training, over every implementation that the optimizers offer."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import Parameter

from prunus.optim import OPTIMIZERS, AdaBreg, LinBreg, ProxSGD, sparsify_
from prunus.regularizers import REGULARIZERS, GroupLasso, RegL1, RegL1Pos
from prunus.structures import Kernel
from tests.laws.optim import ANYWHERE, SHAPES, fitting, pull, train

WITH_DUAL = [(LinBreg, {"lr": 0.1}), (LinBreg, {"lr": 0.1, "momentum": 0.9}), (AdaBreg, {"lr": 0.05})]
every_dual = pytest.mark.parametrize(("member", "rule"), WITH_DUAL, ids=str)
every_optimizer = pytest.mark.parametrize("member", OPTIMIZERS.values(), ids=OPTIMIZERS)
every_implementation = pytest.mark.parametrize("implementation", ANYWHERE)
CONVEX = [partial(kind, lamda=0.3) for kind in REGULARIZERS.values() if kind.convex]
CONVEX += [partial(GroupLasso, 0.3, Kernel())]


def start(n: int = 40) -> Parameter:
    weight = torch.randn(n, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return Parameter(weight * (weight.abs() > 0.7))


def still(theta, step):
    return torch.zeros_like(theta)


def equal_paths(ours, theirs, p: Parameter, q: Parameter, steps: int = 30) -> None:
    for step in range(steps):
        train(ours, [p], range(step, step + 1))
        train(theirs, [q], range(step, step + 1))
        torch.testing.assert_close(p, q, rtol=1e-12, atol=1e-12)


@every_implementation
@pytest.mark.parametrize("delta", [1.0, 0.25, 3.0])
@pytest.mark.parametrize("weight_decay", [0.0, 0.2])
def test_i1_adabreg_without_a_regularizer_is_adam(implementation, delta, weight_decay) -> None:
    p, q = start(), start()
    decay = {"weight_decay": weight_decay}
    ours = AdaBreg([p], lr=0.05, delta=delta, eps=1e-3, implementation=implementation, **decay)
    equal_paths(ours, torch.optim.Adam([q], lr=0.05 * delta, eps=1e-3, **decay), p, q)


@every_implementation
@pytest.mark.parametrize("weight_decay", [0.0, 0.2])
def test_i2_linbreg_and_proxsgd_without_a_regularizer_are_sgd(implementation, weight_decay) -> None:
    decay = {"weight_decay": weight_decay}
    for member, rule, lr in ((LinBreg, {"delta": 0.5}, 0.05), (LinBreg, {}, 0.1), (ProxSGD, {}, 0.1)):
        p, q = start(), start()
        ours = member([p], lr=0.1, implementation=implementation, **rule, **decay)
        equal_paths(ours, torch.optim.SGD([q], lr=lr, **decay), p, q)


@every_implementation
def test_i3_momentum_is_not_torchs_but_has_its_closed_form(implementation) -> None:
    p, q = start(), start()
    theta0 = p.detach().clone()
    ours = LinBreg([p], lr=0.1, delta=2.0, momentum=0.9, implementation=implementation)
    theirs = torch.optim.SGD([q], lr=0.2, momentum=0.9, dampening=0.9)
    moved = torch.zeros_like(theta0)
    for step in range(20):
        train(ours, [p], range(step, step + 1))
        train(theirs, [q], range(step, step + 1))
        moved += ours.state[p]["momentum_buffer"]
    torch.testing.assert_close(p.detach(), theta0 - 2.0 * moved, rtol=1e-12, atol=1e-12)
    assert (p - q).abs().max() > 0.1


@every_implementation
def test_i3_momentum_scheduled_down_to_zero_follows_the_formula(implementation) -> None:
    p = Parameter(torch.zeros(1, dtype=torch.float64))
    optimizer = LinBreg([p], lr=1.0, momentum=0.5, implementation=implementation)
    m = v = 0.0
    for step, momentum in enumerate((0.5, 0.0, 0.5)):
        optimizer.param_groups[0]["momentum"] = momentum
        train(optimizer, [p], range(1), lambda theta, _, step=step: torch.full_like(theta, step + 1.0))
        m = momentum * m + (1 - momentum) * (step + 1.0)
        v -= m
        assert float(p.detach()) == pytest.approx(v)
    assert "momentum_buffer" not in LinBreg([p], lr=1.0).state[p]


@every_implementation
@every_dual
@pytest.mark.parametrize("make_reg", CONVEX, ids=lambda make: make.func.__name__)
@pytest.mark.parametrize("delta", [1.0, 0.5])
def test_i4_the_first_dual_gives_the_weight_back(member, rule, make_reg, delta, implementation) -> None:
    for shape in [shape for shape in fitting(make_reg()) if shape in SHAPES]:
        p = Parameter(torch.randn(shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64))
        if make_reg().domain == "nonnegative":
            p.data.abs_()
        before = p.detach().clone()
        optimizer = member([p], reg=make_reg(), delta=delta, implementation=implementation, **rule)
        train(optimizer, [p], range(2), still)
        torch.testing.assert_close(p.detach(), before, rtol=1e-12, atol=1e-12)


@every_implementation
def test_i4_l1pos_projects_what_it_cannot_reach(implementation) -> None:
    p = Parameter(torch.tensor([1.0, -1.0, 0.0]))
    train(LinBreg([p], reg=RegL1Pos(0.5), implementation=implementation), [p], range(1), still)
    assert p.tolist() == [1.0, 0.0, 0.0]


@every_implementation
@every_dual
@given(lamda=st.floats(0.0, 2.0), delta=st.floats(0.1, 4.0), steps=st.integers(1, 8))
@settings(max_examples=20, deadline=None)
def test_i5_the_dual_is_a_subgradient_after_every_step(member, rule, implementation, lamda, delta, steps) -> None:
    p = start()
    optimizer = member([p], reg=RegL1(lamda), delta=delta, implementation=implementation, **rule)
    for step in range(steps):
        train(optimizer, [p], range(step, step + 1))
        theta, v = p.detach(), optimizer.state[p]["sub_grad"]
        alive = theta != 0
        gap = (v - theta / delta - lamda * theta.sign())[alive]
        assert not alive.any() or gap.abs().max() < 1e-12 * max(1.0, float(v.abs().max()))
        assert (v[~alive].abs() <= lamda * (1 + 1e-12)).all()


@every_implementation
@every_dual
def test_i6_a_weight_lives_where_its_dual_leaves_the_dead_zone(member, rule, implementation) -> None:
    p = start()
    optimizer = member([p], reg=RegL1(0.3), delta=2.0, implementation=implementation, **rule)
    train(optimizer, [p], range(10))
    theta, v = p.detach(), optimizer.state[p]["sub_grad"]
    assert torch.equal(theta != 0, v.abs() > 0.3) and (theta == 0).any() and (theta != 0).any()
    torch.testing.assert_close(theta.abs(), 2.0 * (v.abs() - 0.3).clamp_min(0.0), rtol=1e-12, atol=1e-12)


@every_implementation
@every_dual
def test_i6_delta_scales_the_weights_not_the_support(member, rule, implementation) -> None:
    paths = []
    for delta in (1.0, 3.0):
        p = Parameter(start().detach() * delta)
        optimizer = member([p], reg=RegL1(0.3), delta=delta, implementation=implementation, **rule)
        train(optimizer, [p], range(10), lambda theta, step: pull(torch.zeros(40), step).double())
        paths.append(p.detach())
    assert torch.equal(paths[0] != 0, paths[1] != 0) and (paths[0] == 0).any()
    torch.testing.assert_close(3.0 * paths[0], paths[1], rtol=1e-12, atol=1e-12)


def pushed(implementation: str, delta: float, change: str):
    """Return an optimizer one step after its four weights were pushed to the duals 1, -1, 0.3 and -0.1 at λ = 0.2."""
    p = Parameter(torch.zeros(4, dtype=torch.float64))
    optimizer = LinBreg([p], lr=1.0, reg=RegL1(0.2), delta=delta, implementation=implementation, lambda_change=change)
    push = torch.tensor([-1.0, 1.0, -0.3, 0.1], dtype=torch.float64)
    train(optimizer, [p], range(1), lambda theta, step: push)
    return p, optimizer, p.detach().clone()


@every_implementation
@pytest.mark.parametrize("delta", [1.0, 0.5])
def test_i7_a_new_lambda_shifts_survivors_kills_the_weak_and_revives_the_near(delta, implementation) -> None:
    p, optimizer, before = pushed(implementation, delta, "none")
    reg, dual = optimizer.param_groups[0]["reg"], optimizer.state[p]["sub_grad"].clone()
    for lamda, alive in ((0.5, [1, 1, 0, 0]), (0.05, [1, 1, 1, 1]), (0.2, [1, 1, 1, 0])):
        reg.lamda = lamda
        assert torch.equal(optimizer.state[p]["sub_grad"], dual), "moving λ touched the dual"
        train(optimizer, [p], range(1), still)
        assert (p != 0).int().tolist() == alive and torch.equal(optimizer.state[p]["sub_grad"], dual)
        shifted = before[:2] - delta * (lamda - 0.2) * before[:2].sign()
        torch.testing.assert_close(p.detach()[:2], shifted, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(p.detach(), before, rtol=1e-12, atol=1e-12)


@every_implementation
@pytest.mark.parametrize("delta", [1.0, 0.5])
def test_i7_kept_survivors_stay_while_the_dead_zone_moves(delta, implementation) -> None:
    p, optimizer, before = pushed(implementation, delta, "keep_survivors")
    reg, dual = optimizer.param_groups[0]["reg"], optimizer.state[p]["sub_grad"]
    for lamda, last in ((0.5, 0.0), (0.2, 0.0), (0.05, -0.05 * delta)):
        reg.lamda = lamda
        train(optimizer, [p], range(1), still)
        torch.testing.assert_close(p.detach()[:3], before[:3], rtol=1e-12, atol=1e-12)
        assert p[3].item() == pytest.approx(last, abs=1e-12)
        torch.testing.assert_close(dual[:3], before[:3] / delta + lamda * before[:3].sign(), rtol=1e-12, atol=1e-12)


def regression(member, implementation: str, lamda: float, lr: float, steps: int) -> list[float]:
    """Return the density after every step of a sparse regression that starts at 1 %."""
    dice = torch.Generator().manual_seed(0)
    x = torch.randn(200, 100, generator=dice, dtype=torch.float64)
    truth = torch.randn(100, 1, generator=dice, dtype=torch.float64) * (torch.arange(100) < 30)[:, None]
    p = Parameter(torch.randn(100, 1, generator=dice, dtype=torch.float64) * 0.1)
    sparsify_([p], 0.01, generator=dice)
    optimizer = member([p], lr=lr, reg=RegL1(lamda), implementation=implementation)
    densities = [float((p != 0).double().mean())]
    for _ in range(steps):
        optimizer.zero_grad()
        (0.5 * (x @ p - x @ truth).square().mean()).backward()
        optimizer.step()
        densities.append(float((p != 0).double().mean()))
    return densities


@every_implementation
def test_i8_density_grows_from_a_sparse_start(implementation) -> None:
    density = regression(LinBreg, implementation, 1.0, 0.02, 150)
    assert density[:11] == [0.01] * 11
    assert 0.01 < density[30] < density[60] < density[100] < density[150] < 0.5


@every_implementation
def test_i8_adabreg_wakes_weights_after_about_lamda_over_lr_steps(implementation) -> None:
    density = regression(AdaBreg, implementation, 0.5, 0.02, 40)
    assert max(density[:20]) == 0.01 and density[-1] > 0.5


@every_implementation
def test_i8_proxsgd_fills_up_first_and_thins_later(implementation) -> None:
    density = regression(ProxSGD, implementation, 0.1, 0.1, 150)
    assert density[1] > 0.8 and density[-1] < 0.5


@every_implementation
@every_optimizer
def test_i9_without_a_gradient_nothing_happens(member, implementation) -> None:
    idle, busy = start(), start()
    before = idle.detach().clone()
    optimizer = member([idle, busy], lr=0.1, reg=RegL1(0.5), implementation=implementation)
    train(optimizer, [busy], range(3))
    assert torch.equal(idle, before) and idle not in optimizer.state and optimizer.state[busy]["step"] == 3
    busy.grad, kept = None, busy.detach().clone()
    optimizer.step()
    assert torch.equal(busy, kept) and optimizer.state[busy]["step"] == 3


@every_implementation
@every_optimizer
def test_i10_a_closure_runs_once_with_gradients_and_its_loss_returns(member, implementation) -> None:
    p, calls = start(), []
    optimizer = member([p], lr=0.1, reg=RegL1(0.01), implementation=implementation)

    def closure() -> torch.Tensor:
        calls.append(torch.is_grad_enabled())
        optimizer.zero_grad()
        loss = (p - 1).square().sum()
        loss.backward()
        return loss

    with torch.no_grad():
        losses = [float(optimizer.step(closure)) for _ in range(3)]
    assert calls == [True] * 3 and losses[0] > losses[1] > losses[2] > 0


@every_implementation
def test_a_nan_gradient_stays_where_it_entered(implementation) -> None:
    p = Parameter(torch.ones(3))
    optimizer = LinBreg([p], lr=0.1, reg=RegL1(0.1), implementation=implementation)
    train(optimizer, [p], range(1), lambda theta, step: torch.tensor([float("nan"), 0.0, 0.0]))
    train(optimizer, [p], range(1), still)
    assert p.isnan().tolist() == [True, False, False]
