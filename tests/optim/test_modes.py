"""A step inside torch.compile is the step outside it; what inference mode has made cannot train, and is named."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from prunus.actions import Steer
from prunus.errors import SettingError
from prunus.optim import OPTIMIZERS, AdaBreg
from prunus.policy import Policy
from prunus.regularizers import RegL1
from prunus.scheduler import CompressionScheduler
from prunus.steering import SparsityBudget

MEMBERS = list(OPTIMIZERS.values())


def trained(compiled: bool) -> torch.Tensor:
    torch.manual_seed(0)
    layer, batch = nn.Linear(8, 8), torch.randn(4, 8)
    optimizer = AdaBreg(layer.parameters(), lr=0.1, reg=RegL1(0.01))
    budget = Policy(Steer(SparsityBudget(0.7)))
    scheduler = CompressionScheduler(layer, [budget], optimizer=optimizer, steps_per_epoch=3)

    def once() -> None:
        optimizer.zero_grad()
        layer(batch).square().sum().backward()
        optimizer.step()

    step = torch.compile(once, backend="aot_eager") if compiled else once
    for _ in scheduler.epochs(2):
        for _ in range(3):
            step()
    return layer.weight.detach()


@pytest.mark.filterwarnings("ignore:::torch")
def test_a_compiled_loop_with_a_budget_trains_as_the_plain_one() -> None:
    assert torch.equal(trained(True), trained(False))


def test_a_step_inside_a_whole_graph_is_refused_by_name() -> None:
    weight = nn.Parameter(torch.ones(2))
    optimizer = AdaBreg([weight])
    weight.grad = torch.ones(2)
    optimizer.step()
    whole = torch.compile(optimizer.step, backend="eager", fullgraph=True)
    with pytest.raises(torch._dynamo.exc.Unsupported, match="disable"):
        whole()


@pytest.mark.parametrize("member", MEMBERS)
def test_what_inference_mode_has_made_is_refused(member) -> None:
    with torch.inference_mode():
        model = nn.Linear(2, 2)
    with pytest.raises(SettingError, match="parameter 1 of group 0 was made in inference mode"):
        member(model.parameters())


@pytest.mark.parametrize("implementation", ["auto", "foreach", "loop"])
@pytest.mark.parametrize("member", MEMBERS)
def test_a_first_step_in_inference_mode_is_followed_by_others(member, implementation: str) -> None:
    weight, twin = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    for one, first in ((weight, True), (twin, False)):
        optimizer = member([one], lr=0.125, reg=RegL1(0.1), implementation=implementation)
        for inside in (first, False):
            one.grad = torch.ones(2)
            with torch.inference_mode(inside):
                optimizer.step()
    assert torch.equal(weight, twin)
