"""AdaBreg: Adam's step, taken by the dual."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT

from prunus._native.stepping import ADABREG, Numbers
from prunus.optim._compiled import adabreg_kernel, at, step_
from prunus.optim._fused import Rule
from prunus.optim.base import BregmanOptimizer
from prunus.optim.mirror import mirror_
from prunus.regularizers import Regularizer


class AdaBreg(BregmanOptimizer):
    r"""Train sparse from the start with Adam's step size: the dual takes Adam's step, the weight follows by a prox.

    .. math::
        m_1 &\leftarrow \beta_1 m_1 + (1 - \beta_1) g \qquad m_2 \leftarrow \beta_2 m_2 + (1 - \beta_2) g^2 \\
        v &\leftarrow v - \frac{\tau}{1 - \beta_1^k} \frac{m_1}{\sqrt{m_2} / \sqrt{1 - \beta_2^k} + \varepsilon} \\
        \theta &\leftarrow \mathrm{prox}_{\delta J}(\delta v)

    with k the number of steps this parameter has taken, and :math:`v_0 = \theta_0 / \delta + p_0`,
    :math:`p_0 \in \partial J(\theta_0)`, at the first step in which the parameter has a gradient. ε is added after the
    bias correction, outside the root, as in torch.

    Args:
        params: Parameters, or dicts of groups; a group may override every setting, plus ``lambda_scale`` and ``name``.
        lr: Step size τ ≥ 0: the most a dual entry moves a step, roughly. Default 1e-3.
        reg: Regularizer J; None (default) is RegNone, which makes this ``Adam(lr * delta)``. Each group gets a copy.
        delta: Elastic-net parameter δ > 0. Default 1. Scales the weights that survive, not which ones do.
        betas: Decays of the two moments, each in [0, 1). Default (0.9, 0.999).
        eps: ε ≥ 0, in units of the gradient. Default 1e-8.
        weight_decay: w ≥ 0; adds w·θ to the gradient, before the moments. Default 0. Decay outside the gradient, as
            in AdamW, would mean nothing: the next step rebuilds θ from v (:mod:`prunus.optim.decay`).
        lambda_change: What a new λ does to the duals. "none" (default): nothing, as in the paper; survivors shift by
            −δ·(λ′ − λ)·sign θ at the next step. "keep_survivors": their duals move along, so that they stay.
        nonfinite: "propagate" (default), "skip" or "raise": what a NaN or infinite gradient does, see
            :class:`BregmanOptimizer`.
        implementation: "auto" (default), "fused", "compiled", "foreach" or "loop": how a step is computed, see
            :class:`BregmanOptimizer`.

    State per parameter: ``step`` (int), ``sub_grad`` (v), ``exp_avg`` (m₁), ``exp_avg_sq`` (m₂).

    Raises:
        SettingError: see :class:`BregmanOptimizer`.

    Use it where Adam trains the dense model well. It is no cure for a λ out of proportion: a zero weight needs about
    λ/τ steps to be born, so λ/τ has to lie well below the number of steps. Since every dual moves at much the
    same speed, whatever the size of its gradient, many wake at once there; :class:`LinBreg` is often ahead at very high
    sparsity.

    Source: Bungert, Roith, Tenbrinck, Burger, JMLR 23(192), 2022, algorithm 3; moments after Kingma and Ba (2015).

    >>> from prunus.regularizers import RegL1
    >>> weight = torch.nn.Parameter(torch.tensor([1.0, 0.0, 0.0]))
    >>> optimizer = AdaBreg([weight], lr=0.5, reg=RegL1(0.75))
    >>> for _ in range(2):
    ...     weight.grad = torch.tensor([4.0, -4.0, 0.0])
    ...     _ = optimizer.step()
    >>> weight.data  # every dual with a gradient moved by 0.5 a step: 1.75 to 0.75, and 0 to 1
    tensor([0.0000, 0.2500, 0.0000])
    """

    keeps: ClassVar[tuple[str, ...]] = ("step", "exp_avg", "exp_avg_sq")

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-3,
        reg: Regularizer | None = None,
        delta: float = 1.0,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
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
            betas=betas,
            eps=eps,
            weight_decay=weight_decay,
            lambda_change=lambda_change,
            nonfinite=nonfinite,
            implementation=implementation,
        )

    def _fresh(self, parameter: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        start = super()._fresh(parameter, group)
        return {
            **start,
            "exp_avg": torch.zeros_like(start["sub_grad"]),
            "exp_avg_sq": torch.zeros_like(start["sub_grad"]),
        }

    def _update_(
        self, params: list[Tensor], grads: list[Tensor], states: list[dict[str, Any]], group: dict[str, Any]
    ) -> None:
        duals, first, second = ([state[key] for state in states] for key in ("sub_grad", "exp_avg", "exp_avg_sq"))
        keys = ("reg", "lr", "delta", "betas", "eps", "implementation")
        steps = [state["step"] for state in states]
        adabreg_update_(params, grads, duals, first, second, steps, **{key: group[key] for key in keys})

    def _rule(self, states: list[dict[str, Any]], group: dict[str, Any]) -> Rule:
        delta, (beta1, beta2) = group["delta"], group["betas"]
        steps = [state["step"] for state in states]
        own = {k: corrections(k, group["lr"], group["betas"]) for k in set(steps)}
        pairs = {k: (1 / root, rate) for k, (root, rate) in own.items()}
        numbers = Numbers(delta=delta, beta1=beta1, beta2=beta2, eps=group["eps"], scale=delta)
        moved = ("sub_grad", "exp_avg", "exp_avg_sq")
        return Rule(ADABREG, moved, numbers, [pairs[k] for k in (steps if len(pairs) > 1 else steps[:1])])


def corrections(step: int, lr: float, betas: tuple[float, float]) -> tuple[float, float]:
    """Return the root of the second moment's bias correction, and the signed rate with the first moment's.

    >>> corrections(1, 0.5, (0.5, 0.75))
    (0.5, -1.0)
    """
    return (1 - betas[1] ** step) ** 0.5, -lr / (1 - betas[0] ** step)


def adabreg_update_(
    params: list[Tensor],
    grads: list[Tensor],
    duals: list[Tensor],
    exp_avgs: list[Tensor],
    exp_avg_sqs: list[Tensor],
    steps: Sequence[int],
    *,
    reg: Regularizer,
    lr: float,
    delta: float = 1.0,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    implementation: str = "foreach",
) -> None:
    r"""Take one AdaBreg step on lists of tensors, in place: moments, dual, prox.

    Args:
        params: Weights θ, overwritten (they also hold Adam's denominator on the way, so nothing is allocated).
        grads: Gradients g of the same shapes, left as they are.
        duals: Dual variables v, updated.
        exp_avgs: First moments m₁, updated.
        exp_avg_sqs: Second moments m₂, updated.
        steps: k of each tensor, this step included (the first step is 1).
        reg: Regularizer J.
        lr: Step size τ.
        delta: Elastic-net parameter δ.
        betas: Decays of the moments.
        eps: ε, added to the bias-corrected root.
        implementation: "foreach", "loop" or "compiled".

    >>> from prunus.regularizers import RegL1
    >>> weight, dual, first, second = (torch.zeros(2) for _ in range(4))
    >>> adabreg_update_([weight], [torch.tensor([-8.0, 0.0])], [dual], [first], [second], [1], reg=RegL1(0.25), lr=1.0)
    >>> dual, weight
    (tensor([1., 0.]), tensor([0.7500, 0.0000]))
    """
    if implementation == "compiled":
        numbers = [(delta, *betas, eps, *corrections(k, lr, betas)) for k in steps]
        columns = (params, grads, duals, exp_avgs, exp_avg_sqs)
        rest = step_(adabreg_kernel, columns, reg, delta, numbers)
        if rest:
            adabreg_update_(*at(rest, *columns, steps), reg=reg, lr=lr, delta=delta, betas=betas, eps=eps)
        return
    descend = _descend_foreach_ if implementation == "foreach" else _descend_loop_
    roots, rates = (list(column) for column in zip(*[corrections(k, lr, betas) for k in steps], strict=True))
    descend(params, grads, duals, exp_avgs, exp_avg_sqs, roots, rates, betas, eps)
    mirror_(params, duals, reg, delta, implementation)


def _descend_foreach_(
    scratch: list[Tensor],
    grads: list[Tensor],
    duals: list[Tensor],
    exp_avgs: list[Tensor],
    exp_avg_sqs: list[Tensor],
    roots: list[float],
    rates: list[float],
    betas: tuple[float, float],
    eps: float,
) -> None:
    """Move the duals, one operation over all tensors at a time."""
    torch._foreach_lerp_(exp_avgs, grads, 1 - betas[0])
    torch._foreach_mul_(exp_avg_sqs, betas[1])
    torch._foreach_addcmul_(exp_avg_sqs, grads, grads, 1 - betas[1])
    # The weights are rebuilt from the duals in a moment; until then their storage is free for the denominator.
    torch._foreach_copy_(scratch, exp_avg_sqs)
    torch._foreach_sqrt_(scratch)
    torch._foreach_div_(scratch, roots)
    torch._foreach_add_(scratch, eps)
    torch._foreach_addcdiv_(duals, exp_avgs, scratch, rates)


def _descend_loop_(
    scratch: list[Tensor],
    grads: list[Tensor],
    duals: list[Tensor],
    exp_avgs: list[Tensor],
    exp_avg_sqs: list[Tensor],
    roots: list[float],
    rates: list[float],
    betas: tuple[float, float],
    eps: float,
) -> None:
    """Move the duals, one tensor after the other."""
    for i, (v, g, m1, m2) in enumerate(zip(duals, grads, exp_avgs, exp_avg_sqs, strict=True)):
        m1.lerp_(g, 1 - betas[0])
        m2.mul_(betas[1]).addcmul_(g, g, value=1 - betas[1])
        denominator = torch.sqrt(m2, out=scratch[i]).div_(roots[i]).add_(eps)
        v.addcdiv_(m1, denominator, value=rates[i])
