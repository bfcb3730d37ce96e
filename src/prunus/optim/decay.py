"""Weight decay, where a Bregman optimizer can feel it: in the gradient."""

from __future__ import annotations

import torch
from torch import Tensor


def decayed(grads: list[Tensor], params: list[Tensor], weight_decay: float) -> list[Tensor]:
    r"""Return the gradients of loss + w/2·‖θ‖²: :math:`g + w\,\theta`; the gradients themselves when w is 0.

    Decoupled decay, θ ← (1 − τw)θ after the step, would be undone by the next step, which rebuilds θ from the dual.
    Here a survivor of LinBreg under RegL1 follows θ ← (1 − δτw)θ − δτg, and a zero weight feels nothing.

    Args:
        grads: Gradients, left as they are.
        params: Weights of the same shapes and dtypes.
        weight_decay: w ≥ 0, in units of gradient per weight.

    >>> decayed([torch.tensor([1.0, 1.0])], [torch.tensor([2.0, 0.0])], 0.25)
    [tensor([1.5000, 1.0000])]
    """
    return list(torch._foreach_add(grads, params, alpha=weight_decay)) if weight_decay else grads
