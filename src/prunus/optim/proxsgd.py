"""ProxSGD: proximal gradient descent, the plain way to train with a penalty that has a kink."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT

from prunus._native.stepping import PROXSGD, Numbers
from prunus.optim._compiled import at, proxsgd_kernel, step_
from prunus.optim._fused import Rule
from prunus.optim.base import BregmanOptimizer
from prunus.regularizers import Regularizer


class ProxSGD(BregmanOptimizer):
    r"""Minimise loss + J by a gradient step on the loss and a prox step on J.

    .. math:: \theta \leftarrow \mathrm{prox}_{\tau J}(\theta - \tau g)

    The threshold is τλ, so a learning rate schedule changes it along; there is no dual and no memory.

    Args:
        params: Parameters, or dicts of groups; a group may override every setting, plus ``lambda_scale`` and ``name``.
        lr: Step size τ ≥ 0. Default 1e-3; 0.1 is a good start, as for SGD.
        reg: Regularizer J; None (default) is RegNone, which makes this ``SGD(lr)``. Each group gets a copy.
        weight_decay: w ≥ 0; adds w·θ to the gradient, before the step. Default 0.
        nonfinite: "propagate" (default), "skip" or "raise": what a NaN or infinite gradient does, see
            :class:`BregmanOptimizer`.
        implementation: "auto" (default), "fused", "compiled", "foreach" or "loop": how a step is computed, see
            :class:`BregmanOptimizer`.

    State per parameter: ``step`` (int).

    Raises:
        SettingError: see :class:`BregmanOptimizer`.

    Use it as the baseline that Bregman training is measured against, and from a dense start. From a sparse start prefer
    :class:`LinBreg`: here a zero weight wakes as soon as its gradient exceeds λ, so the model fills up first and thins
    later, and what survives stays shrunken.

    Source: proximal gradient descent, the baseline in Bungert, Roith, Tenbrinck, Burger, JMLR 23(192), 2022, section 4.

    >>> from prunus.regularizers import RegL1
    >>> weight = torch.nn.Parameter(torch.tensor([1.0, 0.25, 0.0]))
    >>> optimizer = ProxSGD([weight], lr=0.5, reg=RegL1(1.0))
    >>> weight.grad = torch.tensor([-1.0, 0.0, 0.5])
    >>> optimizer.step()
    >>> weight.data
    tensor([1., 0., 0.])
    """

    has_dual: ClassVar[bool] = False

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-3,
        reg: Regularizer | None = None,
        weight_decay: float = 0.0,
        nonfinite: str = "propagate",
        implementation: str = "auto",
    ) -> None:
        rule = {"lr": lr, "weight_decay": weight_decay, "nonfinite": nonfinite, "implementation": implementation}
        super().__init__(params, reg, **rule)

    def _update_(
        self, params: list[Tensor], grads: list[Tensor], states: list[dict[str, Any]], group: dict[str, Any]
    ) -> None:
        proxsgd_update_(params, grads, reg=group["reg"], lr=group["lr"], implementation=group["implementation"])

    def _rule(self, states: list[dict[str, Any]], group: dict[str, Any]) -> Rule:
        return Rule(PROXSGD, (), Numbers(lr=group["lr"], scale=group["lr"]))


def proxsgd_update_(
    params: list[Tensor], grads: list[Tensor], *, reg: Regularizer, lr: float, implementation: str = "foreach"
) -> None:
    """Take one proximal gradient step on lists of tensors, in place.

    Args:
        params: Weights θ, updated.
        grads: Gradients g of the same shapes, left as they are.
        reg: Regularizer J.
        lr: Step size τ, also the scale of the prox.
        implementation: "foreach", "loop" or "compiled".

    >>> from prunus.regularizers import RegL1
    >>> weight = torch.tensor([2.0, 0.5])
    >>> proxsgd_update_([weight], [torch.tensor([1.0, 0.0])], reg=RegL1(1.0), lr=0.5)
    >>> weight
    tensor([1., 0.])
    """
    if implementation == "compiled":
        rest = step_(proxsgd_kernel, (params, grads), reg, lr, [(lr,)] * len(params))
        if rest:
            proxsgd_update_(*at(rest, params, grads), reg=reg, lr=lr)
        return
    if implementation == "foreach":
        torch._foreach_add_(params, grads, alpha=-lr)
    else:
        for param, grad in zip(params, grads, strict=True):
            param.add_(grad, alpha=-lr)
    for param in params:
        reg.prox_(param, lr)
