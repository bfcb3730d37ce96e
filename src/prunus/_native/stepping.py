"""Optimizer steps over many tensors in one call."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import chain
from typing import Any, NamedTuple

import torch
from torch import Tensor

from prunus._native.clearing import require_memory
from prunus._native.library import COUNT, POINTER, last_cache, library, team

ADABREG, LINBREG, MOMENTUM, PROXSGD = range(4)
PLAIN, SOFT, POSITIVE, GROUPED = range(4)
WIDTH = 11
"""Fields of a row: addresses of weight, gradient, dual and two moments, entries, proximal map, grid."""
ENOUGH = 1 << 15
"""Entries from which another thread is worth waking."""
NARROW_WEIGHT, NARROW_GRAD = 1, 2


class Lay(NamedTuple):
    """How a proximal map acts on one tensor: its kind, the price of a unit of λ, and the groups of its memory.

    The memory, seen as (outer, between, groups, inner), has one group for each pair of an outer and a groups index.
    """

    kind: int
    price: float = 1.0
    grid: tuple[int, int, int, int] = (1, 1, 1, 1)


class Numbers(NamedTuple):
    """What all tensors of a step share; what a rule does not use keeps its default."""

    delta: float = 1.0
    beta1: float = 0.0
    beta2: float = 0.0
    eps: float = 0.0
    lr: float = 0.0
    momentum: float = 0.0
    decay: float = 0.0
    lamda: float = 0.0
    scale: float = 1.0


class Steps:
    """A table of weights, their states and proximal maps: each :meth:`run` takes one step of all, in one call.

    All weights share one dtype, float32 or bfloat16; states are float32 and lie in memory as their weights do, without
    gaps. The table holds addresses: it is good for as long as
    no weight is moved or changed and :meth:`fits` says so of the states.

    Args:
        weights: tensors on the CPU that :func:`prunus._native.can_clear` accepts, none empty.
        states: for each weight its dual, then its moments; nothing for ProxSGD.
        lays: for each weight its proximal map.

    >>> from prunus import _native
    >>> weight, dual = torch.zeros(3), torch.zeros(3)
    >>> if _native.available():
    ...     steps = Steps([weight], [[dual]], [Lay(SOFT)])
    ...     steps.run(LINBREG, Numbers(lr=1.0, lamda=0.5), [torch.tensor([-1.0, 0.0, 2.0])])
    ...     assert weight.tolist() == [0.5, 0.0, -1.5] and list(steps.alive) == [2]
    """

    def __init__(self, weights: Sequence[Tensor], states: Sequence[Sequence[Tensor]], lays: Sequence[Lay]) -> None:
        self.weights, self.states, self.lays = list(weights), list(states), list(lays)
        require_memory(self.weights, "weight")
        require_memory(chain.from_iterable(self.states), "state")
        self.seen = [tensor.data_ptr() for state in self.states for tensor in state]
        rows = [
            [weight.data_ptr(), 0, *_addresses(state), weight.numel(), lay.kind, *lay.grid]
            for weight, state, lay in zip(self.weights, self.states, self.lays, strict=True)
        ]
        self.table = array("q", chain.from_iterable(rows))
        self.scalars = array("d", chain.from_iterable((lay.price, 0.0, 0.0) for lay in self.lays))
        self.alive = array("q", [0] * len(rows))
        self.threads = sum(weight.numel() for weight in self.weights) // ENOUGH + 1
        self.strides = [weight.stride() for weight in self.weights]

    def __reduce__(self) -> tuple[type[Steps], tuple[Any, ...]]:
        """Copies and pickles make a table of their own, since addresses mean nothing elsewhere."""
        return Steps, (self.weights, self.states, self.lays)

    def fits(self, states: Iterable[Tensor]) -> bool:
        """Say whether these are the states of the table, each still where it was; whoever has the weights asks them."""
        return [tensor.data_ptr() for tensor in states] == self.seen

    def run(
        self,
        rule: int,
        numbers: Numbers,
        grads: Sequence[Tensor],
        own: Iterable[tuple[float, float]] = (),
        *,
        count: bool = True,
    ) -> None:
        """Take one step.

        Args:
            rule: ADABREG, LINBREG, MOMENTUM (LinBreg with a buffer) or PROXSGD.
            numbers: what all tensors share.
            grads: one for each weight, of its shape; read as they are where they are float32, or all bfloat16.
            own: for AdaBreg each tensor's (1 / root of the second bias correction, -lr / first bias correction), or one
                pair for all.
            count: whether to leave in ``alive`` how many entries of each weight are not zero.

        Raises:
            MemoryError: there was none left for the sums of groups; nothing has moved.
            RunError: the memory of a gradient has been freed; nothing has moved.
        """
        narrow = all(g.dtype == torch.bfloat16 for g in grads)
        dtype = torch.bfloat16 if narrow else torch.float32
        grads = [
            g if _readable(g, dtype, s) else _laid_out(g, dtype, s) for g, s in zip(grads, self.strides, strict=True)
        ]
        addresses = [g.data_ptr() for g in grads]
        if not all(addresses):
            require_memory(grads, "gradient")
        table = self.table[:]  # of its own, since another thread may step as well
        table[1::WIDTH] = array("q", addresses)
        for place, column in enumerate(zip(*own, strict=True), 1):
            self.scalars[place::3] = array("d", column) * (len(self.weights) // len(column))
        flags = NARROW_WEIGHT * (self.weights[0].dtype == torch.bfloat16) + NARROW_GRAD * narrow
        shared = array("d", numbers)
        pool, threads = team()
        failed = _kernel()(
            _start(table), _start(self.scalars), len(self.weights), _start(shared), rule, flags, last_cache(),
            _start(self.alive) if count else None, pool, min(threads, self.threads),
        )  # fmt: skip
        if failed:
            raise MemoryError("no memory for the sums of groups")
        torch.autograd.graph.increment_version(self.weights)


def _readable(grad: Tensor, dtype: torch.dtype, stride: tuple[int, ...]) -> bool:
    """Say whether the memory of a gradient holds its values as the kernel reads them."""
    as_laid = grad.stride() == stride and grad.dtype == dtype and grad.data_ptr() % dtype.itemsize == 0
    return as_laid and not (grad.is_neg() or grad._is_zerotensor())


def _laid_out(grad: Tensor, dtype: torch.dtype, stride: tuple[int, ...]) -> Tensor:
    """Copy a gradient to memory that holds its values as the kernel reads them: in the layout of its weight."""
    return torch.empty_strided(grad.shape, stride, dtype=dtype).copy_(grad)


def _addresses(state: Sequence[Tensor]) -> list[int]:
    """Return the addresses of a state, 0 for what the rule does not keep."""
    return ([tensor.data_ptr() for tensor in state] + [0, 0, 0])[:3]


def _start(values: array[Any]) -> int:
    """Return the address of an array, which must outlive its use."""
    return values.buffer_info()[0]


@cache
def _kernel() -> Any:
    kernel = library().prunus_step
    kernel.argtypes = [POINTER, POINTER, COUNT, POINTER, COUNT, COUNT, COUNT, POINTER, POINTER, COUNT]
    kernel.restype = COUNT
    return kernel
