"""Load a checkpoint with ``_orig`` and ``_mask`` entries into a model that is clean, or pruned by torch."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import nn
from torch.optim import Optimizer

from prunus.checkpoints.adapt import adapt
from prunus.checkpoints.files import read
from prunus.checkpoints.fit import model_misfits, require_fit
from prunus.checkpoints.mask_intake import take_masks
from prunus.checkpoints.optimizer_order import Built
from prunus.checkpoints.optimizer_state import place_state
from prunus.checkpoints.parts import parts_of
from prunus.checkpoints.torch_format import places
from prunus.errors import CheckpointError, PrunusError
from prunus.masks import MaskStore


def load_pruned(
    path: str | os.PathLike[str] | Mapping[str, Any],
    model: nn.Module,
    *,
    optimizer: Optimizer | None = None,
    store: MaskStore | None = None,
    trust: bool = False,
    optimizer_built: Built | None = None,
) -> MaskStore:
    """Load a checkpoint written by torch.nn.utils.prune or Lightning's ModelPruning; all of it, or nothing.

    Where the model is clean, ``weight = weight_orig · weight_mask`` is loaded and the mask goes to the store; where
    torch has pruned the model too, original and mask are loaded as they are. A checkpoint without pruned entries loads
    as usual. The optimizer's state goes to its parameters by name: torch's pruning moves ``weight`` behind ``bias``, so
    an optimizer that was built after it numbers them in another order.

    Args:
        path: a file of ``torch.save`` with a state dict, with ``{"state_dict": ...}`` (Lightning) or with
            ``{"model": ..., "optimizer": ...}``; or such a dict.
        model: built as for the checkpoint; changed in place, its parameters stay the same objects.
        optimizer: optimizer of ``model``; its state is loaded too.
        store: where the masks go. Default: a new one. Attach it to the optimizer (``store.attach(optimizer)``), or give
            ``scheduler.masks``, to keep the zeros while training goes on.
        trust: load Python objects from the file, see :func:`prunus.checkpoints.read`.
        optimizer_built: "before" or "after" pruning, where the shapes of its state cannot tell.

    Returns: the store.

    Errors: CheckpointError, and nothing is changed, for keys, shapes or dtypes that do not fit, for an optimizer state
    that cannot be placed with certainty, for a file without optimizer when one is asked for, and as
    :func:`prunus.checkpoints.fuse` and :func:`prunus.checkpoints.read`.

    >>> import torch
    >>> pruned = nn.utils.prune.random_unstructured(nn.Linear(8, 2), "weight", amount=12)
    >>> model, x = nn.Linear(8, 2), torch.randn(3, 8)
    >>> masks = load_pruned(pruned.state_dict(), model)
    >>> bool((model(x) == pruned(x)).all()), int(masks["weight"].sum())
    (True, 4)
    """
    checkpoint = path if isinstance(path, Mapping) else read(path, trust=trust)
    where = "the checkpoint" if isinstance(path, Mapping) else str(path)
    parts = parts_of(checkpoint, where)
    adapted = adapt(parts.weights, model)
    require_fit(f"{where} is of another model", model_misfits(model.state_dict(), adapted.state_dict))
    saved = None
    if optimizer is not None:
        one = _only_one(parts.optimizers, where)
        saved = place_state(one, model, optimizer, list(parts.weights), optimizer_built)
    store = MaskStore([]) if store is None else store
    with _undoing(where, {"model": model, "optimizer": optimizer, "store": store}):
        take_masks(store, model, adapted.masks)
        model.load_state_dict(adapted.state_dict)
        if optimizer is not None and saved is not None:
            optimizer.load_state_dict(saved)
    for place in places(model):
        setattr(place.module, place.parameter_name, place.original * place.keep)  # torch does so at the next forward
    return store


def _only_one(optimizers: list[Mapping[str, Any]], where: str) -> Mapping[str, Any]:
    if len(optimizers) != 1:
        raise CheckpointError(f"{where} holds {len(optimizers)} optimizers, expected one: load without optimizer=")
    return optimizers[0]


@contextmanager
def _undoing(where: str, parts: Mapping[str, Any]) -> Iterator[None]:
    """Put every part back when the block raises."""
    given = {name: part for name, part in parts.items() if part is not None}
    before = copy.deepcopy({name: part.state_dict() for name, part in given.items()})
    try:
        yield
    except Exception as fault:  # whatever a part raises, none may stay changed
        for name, part in given.items():
            part.load_state_dict(before[name])
        if isinstance(fault, PrunusError):
            raise
        raise CheckpointError(f"{where} could not be loaded, nothing was changed: {fault}") from fault
