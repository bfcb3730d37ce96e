"""Penalties as gradients, for trainers whose loss is out of reach."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.optim import Optimizer


def add_gradient_(penalty: Tensor, optimizer: Optimizer, factor: float = 1.0) -> None:
    """Add ``factor`` times the gradient of ``penalty`` to the gradients of the optimizer's parameters.

    ``torch.autograd.grad`` leaves DistributedDataParallel's hooks alone: every rank adds the same gradient to gradients
    that are already averaged, or are averaged later, which equals the average of gradients with the penalty.

    Args:
        penalty: a differentiable scalar.
        optimizer: parameters without a gradient get one where the penalty reaches them.
        factor: the loss scale that the gradients still carry.

    >>> weight = torch.tensor([3.0], requires_grad=True)
    >>> add_gradient_(weight.square().sum(), torch.optim.SGD([weight]))
    >>> weight.grad
    tensor([6.])
    """
    parameters = [p for group in optimizer.param_groups for p in group["params"] if p.requires_grad]
    gradients = torch.autograd.grad(penalty, parameters, allow_unused=True)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        if gradient is None:
            continue
        scaled = gradient if factor == 1.0 else gradient * factor
        parameter.grad = scaled if parameter.grad is None else parameter.grad.add_(scaled)
