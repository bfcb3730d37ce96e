"""Walk many tensors in pieces of bounded size and in row-major order, whatever their strides, dtypes and devices."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.distributed
from torch import Tensor

if TYPE_CHECKING:
    from torch.distributed.tensor import DTensor

CHUNK = 1 << 18  # elements at a time on the CPU: one megabyte of float32 stays in the second-level cache
DEVICE_CHUNK = 1 << 24  # on accelerators each piece costs a few kernel launches and one synchronisation

WORD = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}  # the integer of so many bytes

Entry = tuple[Tensor, ...]  # (score,) or (score, mask of its candidates)


@contextmanager
def one_thread() -> Iterator[None]:
    """Run torch's CPU operations on the calling thread alone.

    A piece is small, so threads gain little, and each operation would wait for all of them: on a machine whose cores
    are busy with other work, ten thousand such waits turned 3 seconds into 100.

    >>> with one_thread():
    ...     torch.get_num_threads()
    1
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def pieces(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Cut tensors of one shape alike into views of at most the chunk size, in row-major order.

    >>> [tuple(view.shape) for (view,) in pieces(torch.zeros(3, CHUNK // 2))]
    [(2, 131072), (1, 131072)]
    """
    lead, limit = tensors[0], _limit(tensors[0])
    if lead.numel() <= limit:
        yield tensors
        return
    rows = max(1, limit * len(lead) // lead.numel())
    for start in range(0, len(lead), rows):
        part = tuple(tensor[start : start + rows] for tensor in tensors)
        if part[0].numel() > limit:  # one row alone is too large: cut inside it
            yield from pieces(*(tensor[0] for tensor in part))
        else:
            yield part


def candidates(entries: Sequence[Entry], dtype: torch.dtype) -> Iterator[Tensor]:
    """Yield the candidates of each piece as a flat tensor of one dtype, leaving out empty ones.

    >>> entry = (torch.tensor([3.0, 1.0]), torch.tensor([True, False]))
    >>> [found.tolist() for found in candidates([entry], torch.float32)]
    [[3.0]]
    """
    for entry in entries:
        for score, *mask in pieces(*entry):
            values = score.to(dtype)
            flat = pick(values, mask[0]) if mask else values.reshape(-1)
            if flat.numel():
                yield flat


def batches(entries: Sequence[Entry], dtype: torch.dtype) -> Iterator[Tensor]:
    """Yield the candidates in flat tensors near the chunk size: many small tensors become one, large ones several.

    >>> [found.tolist() for found in batches([(torch.ones(2),), (torch.zeros(1),)], torch.float32)]
    [[1.0, 1.0, 0.0]]
    """
    bag: list[Tensor] = []
    room = 0
    for values in candidates(entries, dtype):
        if bag and (values.numel() > room or values.device != bag[0].device):
            yield torch.cat(bag) if len(bag) > 1 else bag[0]
            bag = []
        room = (room if bag else _limit(values)) - values.numel()
        bag.append(values)
    if bag:
        yield torch.cat(bag) if len(bag) > 1 else bag[0]


def count(mask: Tensor) -> int:
    """Count the True places; NumPy does it several times faster than torch on the CPU.

    >>> count(torch.tensor([True, False, True]))
    2
    """
    return int(np.count_nonzero(mask.numpy())) if mask.is_cpu else int(mask.count_nonzero())


def nonzeros(tensor: Tensor) -> int:
    """Count what is not zero, by way of small masks on the CPU: a fifth of the time of ``count_nonzero`` there.

    >>> nonzeros(torch.tensor([0.0, -0.0, 2.0, float("nan")]))
    2
    """
    tensor = tensor.detach()
    if not tensor.is_cpu:
        return int(tensor.count_nonzero())
    return sum(count(piece.bool()) for (piece,) in pieces(tensor)) if tensor.numel() else 0


def any_in_rows(flags: Tensor) -> Tensor:
    """Say for each row of flags (bool or bytes) whether any is set; NumPy stops at the first, so it is far faster.

    >>> any_in_rows(torch.tensor([[False, True], [False, False]]))
    tensor([ True, False])
    """
    if flags.shape[1] == 1:
        return flags.squeeze(1).bool()
    return torch.from_numpy(flags.numpy().any(axis=1)) if _is_plain(flags) else flags.any(dim=1)


def lost(before: Tensor, after: Tensor) -> bool:
    """Say whether a place is True in ``before`` and not in ``after``.

    >>> lost(torch.tensor([True, False]), torch.tensor([False, True]))
    True
    """
    if _is_plain(before) and _is_plain(after):
        return any(np.greater(*map(Tensor.numpy, pair)).any() for pair in pieces(before, after)) and before.numel() > 0
    return bool((before & ~after).any())


@torch.no_grad()
def clear_(tensor: Tensor, kept: Tensor) -> None:
    """Set the places of a floating tensor where ``kept`` is 0 to +0.0, in place; elsewhere ``kept`` is -1 (int8).

    The bits of -1 are all ones in every width, so one "and" with the float's bits does it, at the speed of reading the
    weights and whatever the pattern; ``masked_fill_`` takes up to ten times longer.

    >>> weight = torch.tensor([1.5, -2.0])
    >>> clear_(weight, torch.tensor([-1, 0], dtype=torch.int8))
    >>> weight
    tensor([1.5000, 0.0000])
    """
    if not (_is_plain(tensor) or tensor.is_cuda):
        tensor.masked_fill_(kept == 0, 0.0)
        return
    for part, marks in pieces(tensor.detach(), kept):
        part.view(WORD[part.element_size()]).bitwise_and_(marks)


def places(mask: Tensor) -> Tensor:
    """Return the indices of the True places of a flat mask, in order; NumPy does it five times faster on the CPU.

    >>> places(torch.tensor([False, True, True]))
    tensor([1, 2])
    """
    return torch.from_numpy(np.flatnonzero(mask.numpy())) if mask.is_cpu else mask.nonzero().squeeze(1)


def pick(values: Tensor, mask: Tensor) -> Tensor:
    """Return the values at the True places, flat; NumPy does it about twice as fast as torch on the CPU.

    >>> pick(torch.tensor([5.0, 6.0, 7.0]), torch.tensor([True, False, True]))
    tensor([5., 7.])
    """
    return torch.from_numpy(values.numpy()[mask.numpy()]) if values.is_cpu else values.masked_select(mask)


def gathered(tensor: Tensor) -> Tensor:
    """Return the tensor without its graph, and whole when it is a DTensor.

    >>> gathered(torch.ones(1, requires_grad=True)).requires_grad
    False
    """
    kind = _distributed_tensor()
    return tensor.full_tensor().detach() if kind and isinstance(tensor, kind) else tensor.detach()


def spread_like(mask: Tensor, tensor: Tensor) -> Tensor:
    """Return the mask, cut over the ranks as ``tensor`` is when that is a DTensor (partial sums are replicated)."""
    kind = _distributed_tensor()
    if kind is None or not isinstance(tensor, kind):
        return mask
    from torch.distributed.tensor import Replicate, distribute_tensor

    placements = [Replicate() if place.is_partial() else place for place in tensor.placements]
    return distribute_tensor(mask, tensor.device_mesh, placements, src_data_rank=None)  # each rank has the whole mask


def _is_plain(tensor: Tensor) -> bool:
    """Say whether the tensor lies in this process's own memory: NumPy reads neither accelerators nor DTensors."""
    return tensor.is_cpu and type(tensor) in (Tensor, torch.nn.Parameter)


def _distributed_tensor() -> type[DTensor] | None:
    """Return DTensor's class where one can exist; its import takes half a second, so only inside a process group."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return None
    from torch.distributed import tensor

    return tensor.DTensor


def _limit(tensor: Tensor) -> int:
    return CHUNK if tensor.is_cpu else DEVICE_CHUNK
