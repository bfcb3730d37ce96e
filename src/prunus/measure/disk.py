"""Bytes on disk, by writing the file and looking."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

Writer = Callable[[Path, Mapping[str, Any]], None]
"""Writes a state dict to a path."""


def size_on_disk(state: Mapping[str, Any], writer: Writer | None = None) -> int:
    """Return how many bytes ``state`` takes on disk when ``writer`` writes it (default: ``torch.save``).

    Measured, not estimated: the file is written to a temporary folder and removed. Pass
    ``prunus.checkpoints.save_sparse`` to see what the zeros are worth.

    >>> size_on_disk({"weight": torch.zeros(1000)}) > 4000
    True
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state.pt"
        if writer is None:
            torch.save(dict(state), path)
        else:
            writer(path, state)
        return path.stat().st_size
