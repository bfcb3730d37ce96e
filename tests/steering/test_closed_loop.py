"""λ feedback and an optimizer together, step by step beside the published loop, written out."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from prunus.actions import Steer
from prunus.optim import AdaBreg, LinBreg
from prunus.regularizers import RegL1
from prunus.scheduler import CompressionScheduler
from prunus.steering import LambdaScheduler
from tests.twins.optim import adabreg, linbreg
from tests.twins.steering import feedback_step

STEPS, LAMBDA, TARGET = 200, 0.05, 0.8
MEMBERS = {"adabreg": (AdaBreg, adabreg, 0.01), "linbreg": (LinBreg, linbreg, 0.1)}


def problem() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    x = torch.randn(64, 40, dtype=torch.float64)
    return x, x[:, :6].sum(dim=1, keepdim=True)


@pytest.mark.parametrize("name", MEMBERS)
def test_the_loop_equals_the_published_one(name: str) -> None:
    build, twin, lr = MEMBERS[name]
    x, y = problem()
    model = nn.Linear(40, 1, bias=False, dtype=torch.float64)
    model.weight.data.mul_(torch.rand_like(model.weight) < 0.1)
    lambdas = [LAMBDA]

    def slope(weight: Tensor, step: int) -> Tensor:
        return 2 / len(x) * (x @ weight.T - y).T @ x

    start = model.weight.detach().clone()
    published = twin(start, slope, RegL1(LAMBDA), lr=lr, lambdas=lambda step: lambdas[step])
    optimizer = build(model.parameters(), lr=lr, reg=RegL1(7.0))
    steer = Steer(LambdaScheduler(LAMBDA, TARGET, 0.25, 1e-6, 10.0))
    scheduler = CompressionScheduler(model, [steer], optimizer=optimizer, steps_per_epoch=STEPS, epochs=1)
    seen = set()
    for _ in scheduler.epochs(1):
        for _ in range(STEPS):
            model.weight.grad = slope(model.weight.detach(), 0)
            optimizer.step()
            theta = next(published)
            lambdas.append(feedback_step(lambdas[-1], theta.flatten().tolist(), TARGET, 0.25, 1e-6, 10.0))
            torch.testing.assert_close(model.weight.detach(), theta, rtol=0.0, atol=1e-12)
            assert optimizer.param_groups[0]["reg"].lamda == pytest.approx(lambdas[-1], rel=1e-12)
            seen.add(float(lambdas[-1] > lambdas[-2]))
    assert seen == {0.0, 1.0}, "λ must have moved both ways, or the loop was not closed"
