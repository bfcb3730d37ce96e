"""Where the weights and the optimizers lie in a checkpoint of whatever program wrote it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from torch import Tensor

from prunus.errors import CheckpointError

WEIGHTS = ("state_dict", "model_state_dict", "model")
"""Keys of the weights: of Lightning, of torch's tutorial, of :func:`prunus.checkpoints.save_run` and many others."""
OPTIMIZERS = ("optimizer_states", "optimizer_state_dict", "optimizer")
"""Keys of the optimizers' state, in the same order; Lightning's is a list."""
PLANS = ("lr_schedulers",)
"""What Lightning refuses to load without its optimizer."""


class Parts(NamedTuple):
    """The weights of a checkpoint, its optimizers, and the keys they lie under (None: the file is the weights).

    >>> import torch
    >>> parts_of({"state_dict": {"weight": torch.ones(1)}, "epoch": 3}).key
    'state_dict'
    """

    key: str | None
    weights: Mapping[str, Any]
    optimizer_key: str | None
    optimizers: list[Mapping[str, Any]]


def parts_of(checkpoint: Mapping[str, Any], where: object = "the checkpoint") -> Parts:
    """Find weights and optimizers; CheckpointError listing the keys when there are no weights.

    >>> parts_of({"epoch": 3})
    Traceback (most recent call last):
        ...
    prunus.errors.CheckpointError: the checkpoint holds no weights: it has 'epoch', expected tensors or one of ...
    """
    key = next((key for key in WEIGHTS if isinstance(checkpoint.get(key), Mapping)), None)
    if key is None and not any(isinstance(value, Tensor) for value in checkpoint.values()):
        keys = ", ".join(map(repr, list(checkpoint)[:8])) or "nothing"
        raise CheckpointError(f"{where} holds no weights: it has {keys}, expected tensors or one of {WEIGHTS}")
    if key is None:
        return Parts(None, checkpoint, None, [])
    found = next((name for name in OPTIMIZERS if checkpoint.get(name)), None)
    saved = checkpoint[found] if found else []
    return Parts(key, checkpoint[key], found, list(saved) if isinstance(saved, (list, tuple)) else [saved])


def rebuilt(
    checkpoint: Mapping[str, Any], weights: Mapping[str, Any], optimizers: list[dict[str, Any]] | None
) -> dict[str, Any]:
    """Return the checkpoint with other weights and other optimizers; None drops the optimizers and what hangs on them.

    >>> rebuilt({"model": {}, "optimizer": {"state": {}}, "epoch": 3}, {"weight": 1}, None)
    {'model': {'weight': 1}, 'epoch': 3}
    """
    parts = parts_of(checkpoint)
    if parts.key is None:
        return dict(weights)
    fresh = {**checkpoint, parts.key: weights}
    if optimizers is None:
        return {name: value for name, value in fresh.items() if name not in (*OPTIMIZERS, *PLANS)}
    if parts.optimizer_key is not None:
        several = isinstance(checkpoint[parts.optimizer_key], (list, tuple))
        fresh[parts.optimizer_key] = optimizers if several else optimizers[0]
    return fresh
