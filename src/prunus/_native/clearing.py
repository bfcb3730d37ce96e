"""Enforce many masks in one call."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor
from torch.nn import Parameter

from prunus._native.library import library, team
from prunus.errors import RunError

ENOUGH = 1 << 20
"""Elements from which a second thread is worth waking."""
FIELDS = 5


class Clearing:
    """A table of weights and masks: each :meth:`run` sets the weights to +0.0 where their mask is 0, in one call.

    A mask is an int8 tensor, -1 where it keeps and 0 where it prunes, laid out in memory as its weight is. The table
    holds addresses: it is good for as long as :meth:`fits` says so of the weights, and the masks are not replaced.

    Args:
        weights: floating-point tensors on the CPU, for each of which :func:`can_clear` holds.
        masks: one for each weight that :func:`matches` it.

    >>> from prunus import _native
    >>> weight = torch.tensor([1.0, -2.0])
    >>> if _native.available():
    ...     Clearing([weight], [torch.tensor([0, -1], dtype=torch.int8)]).run()
    ... else:
    ...     weight[0] = 0.0
    >>> weight
    tensor([ 0., -2.])
    """

    def __init__(self, weights: Sequence[Tensor], masks: Sequence[Tensor]) -> None:
        self.weights, self.masks = list(weights), list(masks)
        require_memory(self.weights, "weight")
        self.seen = _places(self.weights)
        rows = [
            (weight.data_ptr(), mask.data_ptr(), weight.numel(), weight.element_size(), 0)
            for weight, mask in zip(self.weights, self.masks, strict=True)
        ]
        self.table = array("q", [field for row in rows for field in row])
        self.address = self.table.buffer_info()[0]
        self.threads = sum(weight.numel() for weight in self.weights) // ENOUGH + 1

    def __reduce__(self) -> tuple[type[Clearing], tuple[list[Tensor], list[Tensor]]]:
        """Copies and pickles make a table of their own, since addresses mean nothing elsewhere."""
        return Clearing, (self.weights, self.masks)

    def fits(self, weights: Sequence[Tensor]) -> bool:
        """Say whether these are the very weights of the table, each still where and what it was."""
        return _places(weights) == self.seen

    def run(self) -> None:
        """Enforce the masks."""
        pool, threads = team()
        library().prunus_clear(self.address, len(self.weights), pool, min(threads, self.threads))
        torch.autograd.graph.increment_version(self.weights)


def can_clear(weight: Tensor) -> bool:
    """Say whether a table may hold this weight: plain CPU memory without gaps, which inference mode has not made.

    >>> can_clear(torch.zeros(4)), can_clear(torch.zeros(4)[::2])
    (True, False)
    """
    if not weight.is_cpu or type(weight) not in (Tensor, Parameter) or weight.is_neg() or weight.is_inference():
        return False
    if weight.data_ptr() % weight.element_size():
        return False
    return weight.is_contiguous() or torch.empty_like(weight, device="meta").stride() == weight.stride()


def matches(mask: Tensor, weight: Tensor) -> bool:
    """Say whether a mask lies in memory as a table needs it for this weight.

    >>> matches(torch.zeros(4, dtype=torch.int8), torch.zeros(4)), matches(torch.zeros(4), torch.zeros(4))
    (True, False)
    """
    alike = mask.shape == weight.shape and mask.stride() == weight.stride()
    return alike and mask.dtype == torch.int8 and mask.device == weight.device


def require_memory(tensors: Iterable[Tensor], what: str) -> None:
    """Raise RunError where entries have no memory: a call by address would end the process.

    >>> require_memory([torch.zeros(0), torch.zeros(1)], "weight")
    """
    for tensor in tensors:
        if tensor.numel() and not tensor.data_ptr():
            raise RunError(f"the memory of a {what} of shape {list(tensor.shape)} has been freed; nothing has moved")


def _places(weights: Sequence[Tensor]) -> list[tuple[int, torch.dtype, tuple[int, ...], tuple[int, ...]]]:
    return [(weight.data_ptr(), weight.dtype, weight.shape, weight.stride()) for weight in weights]
