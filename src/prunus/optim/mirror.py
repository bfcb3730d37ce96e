"""What every Bregman optimizer shares: how the dual starts, and how the weights follow from it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from prunus.regularizers import Regularizer


def dual_dtype(parameter: Tensor) -> torch.dtype:
    """Return the precision of the state kept beside a parameter: its own, but at least float32.

    A dual moves by lr·gradient a step, often less than the spacing of bfloat16 numbers near λ: in half precision
    it would stand still in front of the threshold and the weight would never be born.

    >>> dual_dtype(torch.zeros(1, dtype=torch.bfloat16)), dual_dtype(torch.zeros(1, dtype=torch.float64))
    (torch.float32, torch.float64)
    """
    return parameter.dtype if parameter.dtype.itemsize >= 4 else torch.float32


def follow_(state: dict[str, Any], dtype: torch.dtype) -> None:
    """Bring a state to the precision that goes with its parameter, where the model was moved to another since.

    >>> state = {"step": 1, "sub_grad": torch.zeros(1)}
    >>> follow_(state, torch.float64)
    >>> state["sub_grad"].dtype
    torch.float64
    """
    for name, kept in state.items():
        if isinstance(kept, Tensor) and kept.dtype != dtype:
            state[name] = kept.to(dtype)


def start_dual(parameter: Tensor, reg: Regularizer, delta: float) -> Tensor:
    r"""Return the dual that belongs to a weight: :math:`v_0 = \theta_0 / \delta + p`, p a subgradient of reg at θ₀.

    Zeros start at v = 0, the middle of the dead zone, so sparse initialisation is honoured. For the convex
    regularizers ``reg.prox(delta * v0, delta)`` gives the weight back, except where that weight is out of the
    regularizer's reach (a negative weight under RegL1Pos).

    Args:
        parameter: The weight θ₀, any shape.
        reg: The regularizer of its group.
        delta: The elastic-net parameter δ > 0.

    >>> from prunus.regularizers import RegL1
    >>> start_dual(torch.tensor([2.0, 0.0, -1.0]), RegL1(0.5), delta=2.0)
    tensor([ 1.5000,  0.0000, -1.0000])
    """
    weight = parameter.detach().to(dual_dtype(parameter))
    return reg.sub_grad(weight).add_(weight / delta) if delta != 1.0 else reg.sub_grad(weight).add_(weight)


def mirror_(params: list[Tensor], duals: list[Tensor], reg: Regularizer, delta: float, implementation: str) -> None:
    r"""Rebuild the weights from their duals in place: :math:`\theta = \mathrm{prox}_{\delta J}(\delta v)`.

    The weight's own storage holds δv while the prox runs, so nothing is allocated besides what the prox itself needs.

    Args:
        params: Tensors to write, of the duals' shapes, devices and dtypes.
        duals: The dual variables v, left as they are.
        reg: The regularizer J.
        delta: The elastic-net parameter δ > 0.
        implementation: "foreach" or "loop".

    >>> from prunus.regularizers import RegL1
    >>> weight = torch.zeros(3)
    >>> mirror_([weight], [torch.tensor([0.75, 0.25, -1.0])], RegL1(0.5), 2.0, "loop")
    >>> weight
    tensor([ 0.5000,  0.0000, -1.0000])
    """
    if implementation == "foreach":
        torch._foreach_copy_(params, duals)
        if delta != 1.0:
            torch._foreach_mul_(params, delta)
    else:
        for param, dual in zip(params, duals, strict=True):
            torch.mul(dual, delta, out=param)
    for param in params:
        reg.prox_(param, delta)
