"""LinBreg: linearised Bregman iterations, gradient descent on the dual."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT

from prunus._native.stepping import LINBREG, MOMENTUM, Numbers
from prunus.optim._compiled import at, linbreg_kernel, momentum_kernel, step_
from prunus.optim._fused import Rule
from prunus.optim.base import BregmanOptimizer
from prunus.optim.mirror import mirror_
from prunus.regularizers import Regularizer


class LinBreg(BregmanOptimizer):
    r"""Train sparse from the start: gradients move a dual, and a weight is born when its dual leaves the dead zone.

    .. math::
        m &\leftarrow \beta m + (1 - \beta)\,\tau g  \qquad v \leftarrow v - m \\
        \theta &\leftarrow \mathrm{prox}_{\delta J}(\delta v)

    with :math:`v_0 = \theta_0 / \delta + p_0`, :math:`p_0 \in \partial J(\theta_0)`, at the first step in which the
    parameter has a gradient, and :math:`m_0 = 0`. With β = 0 this is :math:`v \leftarrow v - \tau g`. The learning rate
    is inside m, so that a change of it acts gradually; m starts at zero, so RegNone with momentum is not torch's
    ``SGD(momentum=β, dampening=β)``, which starts from the first gradient undamped.

    Args:
        params: Parameters, or dicts of groups; a group may override every setting, plus ``lambda_scale`` and ``name``.
        lr: Step size τ ≥ 0 of the dual, in units of dual per gradient. Default 1e-3; 0.1 is a good start, as for SGD.
        reg: Regularizer J; None (default) is RegNone, which makes this ``SGD(lr * delta)``. Each group gets a copy.
        delta: Elastic-net parameter δ > 0. Default 1. Scales the weights that survive, not which ones do.
        momentum: β in [0, 1). Default 0, which keeps no buffer. The paper's momentum runs use 0.9.
        weight_decay: w ≥ 0; adds w·θ to the gradient, before the momentum. Default 0. Decay outside the gradient, as
            in AdamW, would mean nothing: the next step rebuilds θ from v (:mod:`prunus.optim.decay`).
        lambda_change: What a new λ does to the duals. "none" (default): nothing, as in the paper; survivors shift by
            −δ·(λ′ − λ)·sign θ at the next step. "keep_survivors": their duals move along, so that they stay.
        nonfinite: "propagate" (default), "skip" or "raise": what a NaN or infinite gradient does, see
            :class:`BregmanOptimizer`.
        implementation: "auto" (default), "fused", "compiled", "foreach" or "loop": how a step is computed, see
            :class:`BregmanOptimizer`.

    State per parameter: ``step`` (int), ``sub_grad`` (v), ``momentum_buffer`` (m, once momentum is above 0).

    Raises:
        SettingError: see :class:`BregmanOptimizer`.

    Use it with sparse initialisation (:func:`prunus.optim.sparsify_`, 1 % or so) and a λ that steering adapts: the
    density then grows to what the data ask for. Not for a model whose dense weights shall be kept: that is pruning.
    A zero weight needs about λ/(τ·|g|) steps to be born; choose λ/τ well below the number of steps.

    Source: Bungert, Roith, Tenbrinck, Burger, JMLR 23(192), 2022, algorithm 1 and, with momentum, algorithm 2.

    >>> from prunus.regularizers import RegL1
    >>> weight = torch.nn.Parameter(torch.zeros(3))
    >>> optimizer = LinBreg([weight], lr=0.5, reg=RegL1(0.25))
    >>> for _ in range(2):
    ...     weight.grad = torch.tensor([-1.0, 0.1, 0.5])
    ...     _ = optimizer.step()
    >>> weight.data  # duals 1.0, -0.1 and -0.5; those beyond 0.25 are alive
    tensor([ 0.7500,  0.0000, -0.2500])
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-3,
        reg: Regularizer | None = None,
        delta: float = 1.0,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        lambda_change: str = "none",
        nonfinite: str = "propagate",
        implementation: str = "auto",
    ) -> None:
        super().__init__(
            params,
            reg,
            lr=lr,
            delta=delta,
            momentum=momentum,
            weight_decay=weight_decay,
            lambda_change=lambda_change,
            nonfinite=nonfinite,
            implementation=implementation,
        )

    def _update_(
        self, params: list[Tensor], grads: list[Tensor], states: list[dict[str, Any]], group: dict[str, Any]
    ) -> None:
        duals = [state["sub_grad"] for state in states]
        buffers = [_buffer(state) for state in states] if self._buffered(group) else []
        keys = ("reg", "lr", "delta", "momentum", "implementation")
        linbreg_update_(params, grads, duals, buffers, **{key: group[key] for key in keys})

    def _rule(self, states: list[dict[str, Any]], group: dict[str, Any]) -> Rule:
        delta, momentum = group["delta"], group["momentum"]
        numbers = Numbers(delta=delta, lr=group["lr"], momentum=momentum, scale=delta)
        if self._buffered(group):
            for state in states:
                _buffer(state)
            return Rule(MOMENTUM, ("sub_grad", "momentum_buffer"), numbers)
        return Rule(LINBREG, ("sub_grad",), numbers)

    def _buffered(self, group: dict[str, Any]) -> bool:
        """Say whether the parameters of a group keep momentum: now, or since it was above 0 for any of them.

        A scheduler may bring momentum back to 0; a buffer that exists then still has to follow the formula. The whole
        group is asked, so that the answer does not depend on which parameters are stepped together.
        """
        return group["momentum"] > 0 or any("momentum_buffer" in self.state.get(p, {}) for p in group["params"])


def linbreg_update_(
    params: list[Tensor],
    grads: list[Tensor],
    duals: list[Tensor],
    buffers: list[Tensor],
    *,
    reg: Regularizer,
    lr: float,
    delta: float = 1.0,
    momentum: float = 0.0,
    implementation: str = "foreach",
) -> None:
    r"""Take one LinBreg step on lists of tensors, in place: the dual first, then the prox.

    Args:
        params: Weights θ, overwritten.
        grads: Gradients g of the same shapes, left as they are.
        duals: Dual variables v, updated.
        buffers: Momentum buffers m, updated; empty for the rule without momentum.
        reg: Regularizer J.
        lr: Step size τ.
        delta: Elastic-net parameter δ.
        momentum: β, used when there are buffers.
        implementation: "foreach", "loop" or "compiled".

    >>> from prunus.regularizers import RegL1
    >>> weight, dual = torch.zeros(2), torch.zeros(2)
    >>> linbreg_update_([weight], [torch.tensor([-3.0, 1.0])], [dual], [], reg=RegL1(1.5), lr=1.0)
    >>> dual, weight
    (tensor([ 3., -1.]), tensor([1.5000, 0.0000]))
    """
    if implementation == "compiled":
        columns = (params, grads, duals, *([buffers] if buffers else []))
        kernel, own = (momentum_kernel, (momentum, (1 - momentum) * lr)) if buffers else (linbreg_kernel, (lr,))
        rest = step_(kernel, columns, reg, delta, [(delta, *own)] * len(params))
        if rest:
            params, grads, duals, *kept = at(rest, *columns)
            buffers = kept[0] if kept else []
            linbreg_update_(params, grads, duals, buffers, reg=reg, lr=lr, delta=delta, momentum=momentum)
        return
    descend = _descend_foreach_ if implementation == "foreach" else _descend_loop_
    descend(grads, duals, buffers, lr, momentum)
    mirror_(params, duals, reg, delta, implementation)


def _buffer(state: dict[str, Any]) -> Tensor:
    """Return the momentum buffer of a parameter, zeros the first time."""
    if "momentum_buffer" not in state:
        state["momentum_buffer"] = torch.zeros_like(state["sub_grad"])
    buffer: Tensor = state["momentum_buffer"]
    return buffer


def _descend_foreach_(
    grads: list[Tensor], duals: list[Tensor], buffers: list[Tensor], lr: float, momentum: float
) -> None:
    """Move the duals, one operation over all tensors at a time."""
    if not buffers:
        torch._foreach_add_(duals, grads, alpha=-lr)
        return
    torch._foreach_mul_(buffers, momentum)
    torch._foreach_add_(buffers, grads, alpha=(1 - momentum) * lr)
    torch._foreach_sub_(duals, buffers)


def _descend_loop_(grads: list[Tensor], duals: list[Tensor], buffers: list[Tensor], lr: float, momentum: float) -> None:
    """Move the duals, one tensor after the other."""
    if not buffers:
        for v, g in zip(duals, grads, strict=True):
            v.add_(g, alpha=-lr)
        return
    for v, g, m in zip(duals, grads, buffers, strict=True):
        m.mul_(momentum).add_(g, alpha=(1 - momentum) * lr)
        v.sub_(m)
