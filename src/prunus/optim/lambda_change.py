"""What happens to the duals when λ has moved since the last step."""

from __future__ import annotations

from copy import copy
from typing import Any

from torch import Tensor

from prunus.regularizers import Regularizer

LAMBDA_CHANGES = ("none", "keep_survivors")


def keep_survivors_(parameter: Tensor, dual: Tensor, reg: Regularizer, before: float) -> None:
    r"""Move a dual along with λ, so that the change of λ by itself moves no surviving weight.

    .. math:: v \leftarrow v + p_{\lambda'}(\theta) - p_\lambda(\theta), \qquad p_\lambda(\theta) \in \partial J(\theta)

    For RegL1 that is :math:`(\lambda' - \lambda)\,\mathrm{sign}(\theta)`. Every regularizer's subgradient is
    proportional to λ and zero at zero, so one evaluation does and the dead zone is left as it is; δ does not enter.

    Args:
        parameter: The weight θ, as the last step left it.
        dual: Its dual v, updated.
        reg: The regularizer, at the new λ'.
        before: The λ of the last step.

    >>> import torch
    >>> from prunus.regularizers import RegL1
    >>> dual = torch.tensor([1.0, -0.25, 0.25])
    >>> keep_survivors_(torch.tensor([0.5, 0.0, 0.0]), dual, RegL1(0.75), before=0.5)
    >>> dual
    tensor([ 1.2500, -0.2500,  0.2500])
    """
    change = reg.lamda - before
    if change:
        step = copy(reg)
        step.lamda = abs(change)
        dual.add_(step.sub_grad(parameter), alpha=1.0 if change > 0 else -1.0)


def settle_(params: list[Tensor], states: list[dict[str, Any]], group: dict[str, Any]) -> None:
    """Do what ``group["lambda_change"]`` says before an update, and note in each state the λ that it will use.

    The note is a plain number, ``state["lamda"]``; it is saved with the state, and kept under "keep_survivors" only.

    Args:
        params: Weights at the precision of their duals.
        states: Their states, with the dual under ``sub_grad``.
        group: The parameter group.

    >>> import torch
    >>> from prunus.regularizers import RegL1
    >>> state = {"sub_grad": torch.tensor([1.0]), "lamda": 0.5}
    >>> settle_([torch.tensor([0.5])], [state], {"lambda_change": "keep_survivors", "reg": RegL1(0.25)})
    >>> state
    {'sub_grad': tensor([0.7500]), 'lamda': 0.25}
    """
    reg = group["reg"]
    if group["lambda_change"] == "none":
        for state in states:
            state.pop("lamda", None)
        return
    for parameter, state in zip(params, states, strict=True):
        keep_survivors_(parameter, state["sub_grad"], reg, state.get("lamda", reg.lamda))
        state["lamda"] = reg.lamda
