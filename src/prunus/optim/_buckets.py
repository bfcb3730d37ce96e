"""Lists of tensors that one foreach operation may sweep together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

# On a CPU a list of tensors is swept once per operation; up to this size it still lies in the cache for the next one.
CACHE_BYTES = 2**20


def buckets(params: Iterable[Tensor], limit: float = CACHE_BYTES) -> Iterator[list[Tensor]]:
    """Split parameters into lists of one device and dtype, on a CPU of at most ``limit`` bytes: to stay in its cache.

    >>> small = [torch.zeros(4), torch.zeros(4, dtype=torch.float64), torch.zeros(4)]
    >>> [len(bucket) for bucket in buckets(small)]
    [2, 1]
    >>> [len(bucket) for bucket in buckets([torch.zeros(512, 512)] * 3)]
    [1, 1, 1]
    """
    alike: dict[tuple[torch.device, torch.dtype], list[Tensor]] = {}
    for p in params:
        alike.setdefault((p.device, p.dtype), []).append(p)
    for (device, _), members in alike.items():
        yield from cut(members, limit) if device.type == "cpu" else [members]


def cut(tensors: list[Tensor], limit: float) -> Iterator[list[Tensor]]:
    """Cut a list into runs of at most ``limit`` bytes, with at least one tensor each.

    >>> [len(run) for run in cut([torch.zeros(2)] * 5, limit=16)]
    [2, 2, 1]
    """
    run: list[Tensor] = []
    size = 0
    for tensor in tensors:
        if run and size + tensor.nbytes > limit:
            yield run
            run, size = [], 0
        run.append(tensor)
        size += tensor.nbytes
    if run:
        yield run
