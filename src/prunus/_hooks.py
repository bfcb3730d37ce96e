"""Hang on an optimizer: be called when its gradients are ready, and after each step that it really took."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.utils.hooks import RemovableHandle

from prunus.optim._eager import eagerly


def hang_on(
    optimizer: torch.optim.Optimizer, before: Callable[[], None], after: Callable[[], None]
) -> list[RemovableHandle]:
    """Call ``before`` between gradients and update and ``after`` right behind the update; the handles end that.

    Gradients are ready when ``step`` is called or, when it was given a closure that computes them, when that returns. A
    step that a gradient scaler makes the optimizer skip does not count. torch.compile leaves both calls alone.

    >>> weight = torch.nn.Parameter(torch.ones(1))
    >>> optimizer = torch.optim.SGD([weight], lr=0.1)
    >>> seen = []
    >>> handles = hang_on(optimizer, lambda: seen.append("before"), lambda: seen.append("after"))
    >>> optimizer.step()
    >>> seen
    ['before', 'after']
    """
    before, after = eagerly(before), eagerly(after)

    def ready(optimizer: torch.optim.Optimizer) -> None:
        if not _overflown(optimizer):
            before()

    def enter(optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> tuple[Any, dict[str, Any]] | None:
        closure = kwargs.get("closure", args[1] if len(args) > 1 else None)
        if closure is None:
            ready(optimizer)
            return None

        def then_ready() -> Any:
            loss = closure()
            ready(optimizer)
            return loss

        return args[:1], {**kwargs, "closure": then_ready}

    def leave(optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        if not _overflown(optimizer):
            after()

    return [optimizer.register_step_pre_hook(enter), optimizer.register_step_post_hook(leave)]


def _overflown(optimizer: torch.optim.Optimizer) -> bool:
    """Whether a gradient scaler told a fused optimizer to skip this step; others are not even called then."""
    found = getattr(optimizer, "found_inf", None)
    return found is not None and float(found) > 0
