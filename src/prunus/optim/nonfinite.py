"""Gradients that hold NaN or infinity: find them, and do what a parameter group says about them."""

from __future__ import annotations

from collections.abc import Callable
from warnings import warn

import torch
from torch import Tensor

from prunus.errors import GradientError, NoEffect

NONFINITE = ("propagate", "skip", "raise")


def all_finite(tensors: list[Tensor]) -> list[bool]:
    """Say of each tensor whether it holds neither NaN nor infinity: one pass over each, one read from each device.

    >>> all_finite([torch.ones(2), torch.tensor([1.0, float("nan")]), torch.zeros(0)])
    [True, False, True]
    """
    finite = [True] * len(tensors)
    places: dict[torch.device, list[int]] = {}
    for place, tensor in enumerate(tensors):
        if tensor.numel():  # the largest entry of nothing does not exist
            places.setdefault(tensor.device, []).append(place)
    for held in places.values():
        largest = torch._foreach_norm([tensors[place] for place in held], torch.inf)
        for place, fine in zip(held, torch.stack([one.double() for one in largest]).isfinite().tolist(), strict=True):
            finite[place] = fine
    return finite


def screened(params: list[Tensor], policy: str, name: Callable[[Tensor], str]) -> list[Tensor]:
    """Return the parameters of a group that may step, by what the group says about NaN and infinite gradients.

    Args:
        params: Parameters with a gradient.
        policy: "propagate" returns them all and looks at nothing; "skip" leaves out those with a NaN or an infinity and
            warns NoEffect; "raise" refuses the step.
        name: How a message calls a parameter.

    Raises:
        GradientError: under "raise", naming every parameter concerned.

    >>> weight = torch.nn.Parameter(torch.ones(2))
    >>> weight.grad = torch.tensor([0.0, float("nan")])
    >>> screened([weight], "raise", lambda p: "weight")
    Traceback (most recent call last):
        ...
    prunus.errors.GradientError: the gradient of weight holds NaN or infinity; nothing has moved. Lower the learning ...
    """
    if policy == "propagate":
        return params
    fine = all_finite([p.grad for p in params if p.grad is not None])
    faulty = [name(p) for p, good in zip(params, fine, strict=True) if not good]
    if faulty and policy == "raise":
        raise GradientError(
            f"the gradient of {', '.join(faulty)} holds NaN or infinity; nothing has moved. Lower the learning rate, "
            'clip the gradients, or choose nonfinite="skip"'
        )
    for one in faulty:
        warn(f"the gradient of {one} held NaN or infinity, so its step was skipped", NoEffect, stacklevel=8)
    return [p for p, good in zip(params, fine, strict=True) if good]
