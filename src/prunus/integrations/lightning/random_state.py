"""Random state of every process of a run: one checkpoint serves all ranks, each takes back its own."""

from __future__ import annotations

from typing import Any

import torch.distributed as dist

from prunus.checkpoints import rng
from prunus.errors import CheckpointError


def capture_all() -> list[dict[str, Any]]:
    """Return the random state of every rank, in order; all ranks must call it.

    >>> len(capture_all())
    1
    """
    if not (dist.is_available() and dist.is_initialized()):
        return [rng.capture()]
    states: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(states, rng.capture())
    return states


def restore_mine(states: list[dict[str, Any]]) -> None:
    """Restore the random state of this rank; CheckpointError when the number of processes has changed.

    >>> restore_mine(capture_all())
    """
    inside = dist.is_available() and dist.is_initialized()
    rank, world = (dist.get_rank(), dist.get_world_size()) if inside else (0, 1)
    if len(states) != world:
        raise CheckpointError(f"the checkpoint is of {len(states)} processes, this run has {world}: use as many")
    rng.restore(states[rank])
