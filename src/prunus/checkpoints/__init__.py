"""Checkpoints: written whole or not at all, read without running code, restored bit for bit.

``write`` and ``read`` are the only doors to the disk. ``save_run`` and ``load_run`` keep a training run (weights,
optimizer, scheduler, loader position, random state); ``save_sparse`` and ``load_sparse`` keep weights in few bits.
``fuse``, ``load_pruned`` and ``make_permanent`` deal with the ``_orig``/``_mask`` checkpoints of torch's own pruning.
"""

from __future__ import annotations

from prunus.checkpoints import rng
from prunus.checkpoints.contents import Entry, contents
from prunus.checkpoints.files import read, write
from prunus.checkpoints.fused import fuse
from prunus.checkpoints.optimizer_state import reorder
from prunus.checkpoints.permanent import FuseSettings, Permanence, analyze, make_permanent, permanent_path
from prunus.checkpoints.pruned import load_pruned
from prunus.checkpoints.runs import load_run, save_run
from prunus.checkpoints.sparse import load_sparse, save_sparse

__all__ = [
    "Entry",
    "FuseSettings",
    "Permanence",
    "analyze",
    "contents",
    "fuse",
    "load_pruned",
    "load_run",
    "load_sparse",
    "make_permanent",
    "permanent_path",
    "read",
    "reorder",
    "rng",
    "save_run",
    "save_sparse",
    "write",
]
