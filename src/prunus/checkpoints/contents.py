"""What a checkpoint file holds, parameter by parameter."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from torch import Tensor

from prunus._bits import unpack
from prunus.checkpoints.formats import read_file
from prunus.checkpoints.fused import Pair, pairs_of
from prunus.checkpoints.parts import parts_of
from prunus.checkpoints.torch_format import MASK, ORIG
from prunus.measure import Count, count


class Entry(NamedTuple):
    """One tensor of a file; ``masked`` is how many of its elements a mask prunes, None where it has no mask.

    >>> Entry("fc.weight", (2, 2), "float32", Count(3, 4), 3, 32).masked
    3
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    zeros: Count
    masked: int | None
    bytes: int


def contents(path: str | os.PathLike[str], *, trust: bool = False) -> list[Entry]:
    """Return one entry for each tensor of a checkpoint's weights, an ``_orig``/``_mask`` pair being one.

    Zeros are those that the forward pass sees. Bytes are those of the values, and of the mask where it is a tensor of
    its own. Masks that prunus keeps beside the weights (in a run's scheduler, or a callback of Lightning) count too.

    Args:
        path: .ckpt, .pt, .pth or .safetensors, also of ``save_run`` and ``save_sparse``.
        trust: see :func:`prunus.checkpoints.read`.

    >>> import tempfile, torch
    >>> path = tempfile.mkdtemp() + "/a.pt"
    >>> torch.save({"weight_orig": torch.ones(4), "weight_mask": torch.tensor([1.0, 0, 0, 0])}, path)
    >>> contents(path)
    [Entry(name='weight', shape=(4,), dtype='float32', zeros=Count(zeros=3, total=4), masked=3, bytes=32)]
    """
    checkpoint = read_file(path, trust=trust).checkpoint
    weights = parts_of(checkpoint, path).weights
    alone = [key for key in weights if not _has_partner(key, weights)]
    return list(_entries(weights, pairs_of(weights, ignore=alone), dict(_kept_masks(checkpoint))))


def _entries(weights: Mapping[str, Any], pairs: Mapping[str, Pair], kept: Mapping[str, Tensor]) -> Iterator[Entry]:
    for key, value in weights.items():
        name = key.removesuffix(ORIG)
        if not isinstance(value, Tensor) or (key.removesuffix(MASK) in pairs and key.endswith(MASK)):
            continue
        if name + ORIG == key and name in pairs:
            pruned = int((~pairs[name].keep).sum())
            yield _entry(name, pairs[name].fused, pruned, value.nbytes + weights[name + MASK].nbytes)
        else:
            pruned_here = kept.get(key)
            yield _entry(key, value, None if pruned_here is None else int(pruned_here.sum()), value.nbytes)


def _entry(name: str, tensor: Tensor, masked: int | None, size: int) -> Entry:
    dtype = str(tensor.dtype).removeprefix("torch.")
    return Entry(name, tuple(tensor.shape), dtype, count(tensor), masked, size)


def _has_partner(key: str, weights: Mapping[str, Any]) -> bool:
    pairs = {ORIG: MASK, MASK: ORIG}
    return any(key.endswith(end) and key.removesuffix(end) + other in weights for end, other in pairs.items())


def _kept_masks(checkpoint: Mapping[str, Any]) -> Iterator[tuple[str, Tensor]]:
    """Pruned places by name, from every state of a scheduler or a callback in the file."""
    callbacks = checkpoint.get("callbacks")
    holders = [checkpoint, *(callbacks.values() if isinstance(callbacks, Mapping) else [])]
    states = [one.get("scheduler", one) for one in holders if isinstance(one, Mapping)]
    for state in states:
        masks = state.get("masks") if isinstance(state, Mapping) else None
        for name, saved in (masks if isinstance(masks, Mapping) else {}).items():
            yield name, unpack(saved["pruned"], saved["shape"])
