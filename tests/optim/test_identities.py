"""The identities of Bregman training under the L1 norm: inclusion, threshold, inverse scale space, λ on the move."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import Parameter

from prunus.optim import AdaBreg, LinBreg, ProxSGD, sparsify_
from prunus.regularizers import RegL1, RegL1Pos
from tests.laws.optim import pull, train

WITH_DUAL = [(LinBreg, {"lr": 0.1}), (LinBreg, {"lr": 0.1, "momentum": 0.9}), (AdaBreg, {"lr": 0.05})]
every_dual = pytest.mark.parametrize(("member", "rule"), WITH_DUAL, ids=str)


def start(n: int = 40) -> Parameter:
    weight = torch.randn(n, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return Parameter(weight * (weight.abs() > 0.7))


@every_dual
@given(lamda=st.floats(0.0, 2.0), delta=st.floats(0.1, 4.0), steps=st.integers(1, 8))
@settings(max_examples=25, deadline=None)
def test_the_dual_is_a_subgradient_after_every_step(member, rule, lamda, delta, steps) -> None:
    p = start()
    optimizer = member([p], reg=RegL1(lamda), delta=delta, **rule)
    for step in range(steps):
        train(optimizer, [p], range(step, step + 1))
        theta, v = p.detach(), optimizer.state[p]["sub_grad"]
        alive = theta != 0
        gap = (v - theta / delta - lamda * theta.sign())[alive]
        assert gap.abs().max() < 1e-12 * max(1.0, float(v.abs().max())) if alive.any() else True
        assert (v[~alive].abs() <= lamda * (1 + 1e-12)).all()


@every_dual
def test_delta_scales_the_weights_not_the_support(member, rule) -> None:
    paths = []
    for delta in (1.0, 3.0):
        p = Parameter(start().detach() * delta)
        train(
            member([p], reg=RegL1(0.3), delta=delta, **rule),
            [p],
            range(10),
            lambda theta, step: pull(torch.zeros(40), step).double(),
        )
        paths.append(p.detach())
    assert torch.equal(paths[0] != 0, paths[1] != 0) and (paths[0] == 0).any()
    torch.testing.assert_close(3.0 * paths[0], paths[1], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("delta", [1.0, 0.5])
def test_raising_lambda_shifts_survivors_and_kills_the_weak_lowering_it_revives(delta) -> None:
    p = Parameter(torch.zeros(4, dtype=torch.float64))
    optimizer = LinBreg([p], lr=1.0, reg=RegL1(0.2), delta=delta)
    push = torch.tensor([-1.0, 1.0, -0.3, 0.1], dtype=torch.float64)
    train(optimizer, [p], range(1), lambda theta, step: push)
    reg, before = optimizer.param_groups[0]["reg"], p.detach().clone()
    for lamda, alive in ((0.5, [1, 1, 0, 0]), (0.05, [1, 1, 1, 1]), (0.2, [1, 1, 1, 0])):
        reg.lamda = lamda
        train(optimizer, [p], range(1), lambda theta, step: torch.zeros_like(theta))
        assert (p != 0).int().tolist() == alive
        assert torch.equal(optimizer.state[p]["sub_grad"], -push)
        shifted = before[:2] - delta * (lamda - 0.2) * before[:2].sign()
        torch.testing.assert_close(p.detach()[:2], shifted, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(p.detach(), before, rtol=1e-12, atol=1e-12)


def regression(member, lamda: float, lr: float, steps: int) -> list[float]:
    """Return the density after every step of a sparse regression that starts at 1 %."""
    dice = torch.Generator().manual_seed(0)
    x = torch.randn(200, 100, generator=dice, dtype=torch.float64)
    truth = torch.randn(100, 1, generator=dice, dtype=torch.float64) * (torch.arange(100) < 30)[:, None]
    p = Parameter(torch.randn(100, 1, generator=dice, dtype=torch.float64) * 0.1)
    sparsify_([p], 0.01, generator=dice)
    optimizer = member([p], lr=lr, reg=RegL1(lamda))
    densities = [float((p != 0).double().mean())]
    for _ in range(steps):
        optimizer.zero_grad()
        (0.5 * (x @ p - x @ truth).square().mean()).backward()
        optimizer.step()
        densities.append(float((p != 0).double().mean()))
    return densities


def test_density_grows_from_a_sparse_start() -> None:
    density = regression(LinBreg, 1.0, 0.02, 150)
    assert density[:11] == [0.01] * 11
    assert 0.01 < density[30] < density[60] < density[100] < density[150] < 0.5


def test_adabreg_wakes_weights_after_about_lamda_over_lr_steps() -> None:
    density = regression(AdaBreg, 0.5, 0.02, 40)
    assert max(density[:20]) == 0.01 and density[-1] > 0.5


def test_proxsgd_fills_up_first_and_thins_later() -> None:
    density = regression(ProxSGD, 0.1, 0.1, 150)
    assert density[1] > 0.8 and density[-1] < 0.5


def test_a_zero_gradient_projects_what_l1pos_cannot_reach() -> None:
    p = Parameter(torch.tensor([1.0, -1.0, 0.0]))
    train(LinBreg([p], reg=RegL1Pos(0.5)), [p], range(1), lambda theta, step: torch.zeros_like(theta))
    assert p.tolist() == [1.0, 0.0, 0.0]


def test_momentum_is_not_torchs_but_has_its_closed_form() -> None:
    p, q = start(), start()
    theta0 = p.detach().clone()
    ours = LinBreg([p], lr=0.1, delta=2.0, momentum=0.9)
    theirs = torch.optim.SGD([q], lr=0.2, momentum=0.9, dampening=0.9)
    moved = torch.zeros_like(theta0)
    for step in range(20):
        train(ours, [p], range(step, step + 1))
        train(theirs, [q], range(step, step + 1))
        moved += ours.state[p]["momentum_buffer"]
    torch.testing.assert_close(p.detach(), theta0 - 2.0 * moved, rtol=1e-12, atol=1e-12)
    assert (p - q).abs().max() > 0.1


def test_momentum_scheduled_down_to_zero_follows_the_formula() -> None:
    p = Parameter(torch.zeros(1, dtype=torch.float64))
    optimizer = LinBreg([p], lr=1.0, momentum=0.5)
    m = v = 0.0
    for step, momentum in enumerate((0.5, 0.0, 0.5)):
        optimizer.param_groups[0]["momentum"] = momentum
        train(optimizer, [p], range(1), lambda theta, _, step=step: torch.full_like(theta, step + 1.0))
        m = momentum * m + (1 - momentum) * (step + 1.0)
        v -= m
        assert float(p.detach()) == pytest.approx(v)
    assert "momentum_buffer" not in LinBreg([p], lr=1.0).state[p]


def test_a_nan_gradient_stays_where_it_entered() -> None:
    p = Parameter(torch.ones(3))
    optimizer = LinBreg([p], lr=0.1, reg=RegL1(0.1))
    train(optimizer, [p], range(1), lambda theta, step: torch.tensor([float("nan"), 0.0, 0.0]))
    train(optimizer, [p], range(1), lambda theta, step: torch.zeros(3))
    assert p.isnan().tolist() == [True, False, False]
