"""The step as a kernel of torch.compile: flat tensors of any length, a fixed few a call, so that it compiles once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor

from prunus.optim._layout import is_dense
from prunus.regularizers import RegL1, RegL1Pos, RegNone, Regularizer

ARITY = 8
"""Tensors a call: each call costs tens of microseconds, and each tensor more makes compiling slower."""
BACKEND = "inductor"
WARM = 1 << 16
"""Length of the tensors that the kernel is compiled for: long enough to be shared among threads."""
Columns = Sequence[Sequence[Tensor]]
"""Weights, gradients, then states: as many tensors of equal shapes in each."""


def adabreg_kernel(columns: Columns, numbers: Tensor) -> None:
    """Take AdaBreg's step; the numbers are low and high (see :func:`bounds`), delta, beta1, beta2, eps, root, rate.

    >>> weight, grad, dual, first, second = [torch.zeros(1)], [-torch.ones(1)], *([torch.zeros(1)] for _ in range(3))
    >>> numbers = torch.tensor([-0.25, 0.25, 1.0, 0.0, 0.0, 0.0, 1.0, -1.0])
    >>> adabreg_kernel([weight, grad, dual, first, second], numbers)
    >>> weight
    [tensor([0.7500])]
    """
    low, high, delta, beta1, beta2, eps, root, rate = numbers.unbind()
    for weight, g, v, m1, m2 in zip(*columns, strict=True):
        m1.copy_(beta1 * m1 + (1 - beta1) * g)
        m2.copy_(beta2 * m2 + (1 - beta2) * g * g)
        v.add_(rate * m1 / (m2.sqrt() / root + eps))
        weight.copy_(_shrunk(delta * v, low, high))


def linbreg_kernel(columns: Columns, numbers: Tensor) -> None:
    """Take LinBreg's step without momentum; the numbers are low, high, delta, lr.

    >>> weight, grad, dual = [torch.zeros(1)], [-torch.ones(1)], [torch.zeros(1)]
    >>> linbreg_kernel([weight, grad, dual], torch.tensor([-0.25, 0.25, 2.0, 1.0]))
    >>> weight
    [tensor([1.7500])]
    """
    low, high, delta, lr = numbers.unbind()
    for weight, g, v in zip(*columns, strict=True):
        v.sub_(lr * g)
        weight.copy_(_shrunk(delta * v, low, high))


def momentum_kernel(columns: Columns, numbers: Tensor) -> None:
    """Take LinBreg's step with momentum; the numbers are low, high, delta, momentum, gain.

    >>> weight, grad, dual, buffer = [torch.zeros(1)], [-torch.ones(1)], [torch.zeros(1)], [torch.zeros(1)]
    >>> momentum_kernel([weight, grad, dual, buffer], torch.tensor([-0.25, 0.25, 1.0, 0.5, 0.5]))
    >>> weight
    [tensor([0.2500])]
    """
    low, high, delta, momentum, gain = numbers.unbind()
    for weight, g, v, m in zip(*columns, strict=True):
        m.copy_(momentum * m + gain * g)
        v.sub_(m)
        weight.copy_(_shrunk(delta * v, low, high))


def proxsgd_kernel(columns: Columns, numbers: Tensor) -> None:
    """Take ProxSGD's step; the numbers are low, high, lr.

    >>> weight, grad = [torch.ones(1)], [torch.ones(1)]
    >>> proxsgd_kernel([weight, grad], torch.tensor([-0.25, 0.25, 0.5]))
    >>> weight
    [tensor([0.2500])]
    """
    low, high, lr = numbers.unbind()
    for weight, g in zip(*columns, strict=True):
        weight.copy_(_shrunk(weight - lr * g, low, high))


def bounds(reg: Regularizer, scale: float) -> tuple[float, float] | None:
    """Return (low, high) where prox(x) = x - clamp(x, low, high); None where the proximal map is another.

    >>> bounds(RegL1(0.5), 2.0), bounds(RegNone(), 2.0)
    ((-1.0, 1.0), (0.0, 0.0))
    """
    if type(reg) is RegNone:
        return 0.0, 0.0
    if type(reg) is RegL1:
        return -scale * reg.lamda, scale * reg.lamda
    return (-torch.inf, scale * reg.lamda) if type(reg) is RegL1Pos else None


def step_(
    kernel: Callable[[Columns, Tensor], None],
    columns: Columns,
    reg: Regularizer,
    scale: float,
    numbers: Sequence[Sequence[float]],
) -> list[int]:
    """Step what the kernel can take, and return the places of the others: with gaps, of another layout, tiny.

    Args:
        kernel: One of the kernels above.
        columns: Its tensors, all of one device and dtype.
        reg: The regularizer; what no bounds describe is applied afterwards.
        scale: The scale of its proximal map.
        numbers: For each tensor the kernel's numbers, without the bounds.
    """
    rows = list(zip(*columns, strict=True))
    alike: dict[tuple[float, ...], list[tuple[Tensor, ...]]] = {}
    for row, own in zip(rows, numbers, strict=True):
        if _fits(row):
            alike.setdefault(tuple(own), []).append(row)
    for own, some in alike.items():
        _run(kernel, some, [*(bounds(reg, scale) or (0.0, 0.0)), *own])
    if bounds(reg, scale) is None:
        for weight, *_ in (row for some in alike.values() for row in some):
            reg.prox_(weight, scale)
    return [place for place, row in enumerate(rows) if not _fits(row)]


def _run(kernel: Callable[[Columns, Tensor], None], rows: Sequence[Sequence[Tensor]], numbers: list[float]) -> None:
    like = rows[0][0]
    values = _on(like.device, numbers, like.dtype)
    run = _compiled(kernel, len(rows[0]), len(numbers), like.device, like.dtype, BACKEND, _surroundings())
    for batch in _batches(rows):
        run(batch, values)


def at(places: Sequence[int], *columns: Sequence[Any]) -> list[list[Any]]:
    """Return of each column what stands at some places.

    >>> at([0, 2], "abc", [1, 2, 3])
    [['a', 'c'], [1, 3]]
    """
    return [[column[place] for place in places] for column in columns]


def _shrunk(x: Tensor, low: Tensor, high: Tensor) -> Tensor:
    return x - torch.minimum(torch.maximum(x, low), high)


def _fits(row: Sequence[Tensor]) -> bool:
    first = row[0]
    return first.numel() > 1 and is_dense(first) and all(other.stride() == first.stride() for other in row)


def _on(device: torch.device, values: list[float], dtype: torch.dtype) -> Tensor:
    """Return numbers on a device, without waiting for it."""
    here = torch.tensor(values, dtype=dtype)
    return here if device.type == "cpu" else here.pin_memory().to(device, non_blocking=True)


def _batches(rows: Sequence[Sequence[Tensor]]) -> Iterator[list[list[Tensor]]]:
    """Yield columns of flat tensors, always as many: the last batch is filled up with tensors of no meaning."""
    for start in range(0, len(rows), ARITY):
        some = [[_flat(tensor) for tensor in row] for row in rows[start : start + ARITY]]
        like = some[0][0]
        some += [
            [torch.zeros(2, dtype=like.dtype, device=like.device) for _ in rows[0]] for _ in range(ARITY - len(some))
        ]
        yield [list(column) for column in zip(*some, strict=True)]


def _flat(tensor: Tensor) -> Tensor:
    return tensor.detach().as_strided((tensor.numel(),), (1,))


def _surroundings() -> tuple[Any, ...]:
    """Return the settings of the process for which torch compiles a kernel anew."""
    autocast = (torch.is_autocast_enabled("cpu"), torch.is_autocast_enabled("cuda"))
    deterministic = torch.are_deterministic_algorithms_enabled()
    return torch.get_num_threads(), torch.get_default_dtype(), torch.is_grad_enabled(), deterministic, *autocast


@cache
def _compiled(
    kernel: Callable[[Columns, Tensor], None],
    columns: int,
    numbers: int,
    device: torch.device,
    dtype: torch.dtype,
    backend: str,
    surroundings: tuple[Any, ...],
) -> Callable[[Columns, Tensor], Any]:
    """Compile a kernel for tensors of any length, by a first call in which all lengths differ.

    Without such a call torch takes lengths that happen to be equal for equal ones, and soon has compiled too often.
    """
    run: Callable[[Columns, Tensor], Any] = torch.compile(kernel, dynamic=True, fullgraph=True, backend=backend)
    warm = [[torch.zeros(WARM + 16 * row, device=device, dtype=dtype) for row in range(ARITY)] for _ in range(columns)]
    run(warm, torch.zeros(numbers, device=device, dtype=dtype))
    return run
