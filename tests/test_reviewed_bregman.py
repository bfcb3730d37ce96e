"""What a sceptical reader of the Bregman engine proved wrong once: each stays right."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from prunus.optim import LinBreg
from prunus.regularizers import RegL1

IMPLEMENTATIONS = ["auto", "foreach", "loop"]


def weights(*values):
    return [nn.Parameter(torch.full((2,), value)) for value in values]


def step(optimizer, *grads):
    for parameter, grad in zip(optimizer.param_groups[0]["params"], grads, strict=True):
        parameter.grad = None if grad is None else torch.full_like(parameter, grad)
    optimizer.step()


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_momentum_that_comes_and_goes_does_not_depend_on_who_is_stepped_together(implementation):
    first, second = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2, dtype=torch.float64))
    optimizer = LinBreg([first, second], lr=0.5, momentum=0.5, reg=RegL1(0.0), implementation=implementation)
    step(optimizer, 1.0, None)
    for momentum in (0.0, 0.5):
        optimizer.param_groups[0]["momentum"] = momentum
        step(optimizer, 1.0, 1.0)
    # the second parameter: m = 0.5, then 0.25 + 0.25, so its weight falls by 0.5 twice
    assert second.tolist() == [0.0, 0.0]
