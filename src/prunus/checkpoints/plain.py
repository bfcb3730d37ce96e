"""What may go into a checkpoint: data that ``torch.load(weights_only=True)`` reads back without running code."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

LEAVES = (type(None), bool, int, float, complex, str, bytes, bytearray, torch.Size, torch.dtype, torch.device)
MAPPINGS = (dict, OrderedDict, Counter)
SEQUENCES = (list, tuple, set)


def misfits(state: Any, place: str = "state") -> Iterator[str]:
    """Yield one sentence for every part of ``state`` that is not plain data, with the place where it stands.

    Exact types count: a numpy float is a Python float to ``isinstance``, yet its pickle names numpy code.

    Args:
        state: nested dicts, lists, tuples and sets of tensors, numbers, strings and bytes.
        place: how the outermost level is called in the sentences.

    >>> list(misfits({"lr": 0.1, "reg": [slice(2)]}))
    ["state['reg'][0] is a slice"]
    """
    kind = type(state)
    if kind in MAPPINGS:
        for key, value in state.items():
            yield from misfits(key, f"key {key!r} of {place}")
            yield from misfits(value, f"{place}[{key!r}]")
    elif kind in SEQUENCES:
        for index, value in enumerate(state):
            yield from misfits(value, f"{place}[{index}]")
    elif not (kind in LEAVES or isinstance(state, Tensor)):
        yield f"{place} is a {kind.__name__}"
