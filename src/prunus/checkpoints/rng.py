"""The state of every global random generator, as plain tensors and numbers."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch

from prunus.errors import CheckpointError

NAMES = ("cuda", "numpy", "python", "torch")


def capture() -> dict[str, Any]:
    """Return the state of the global generators of torch (CPU, CUDA once in use), numpy and ``random``.

    Everything in it loads with ``weights_only=True``. Generators that a program made itself are not in it; prunus
    members that draw keep and save their own.

    >>> state = capture()
    >>> first = random.random(), float(torch.rand(()))
    >>> restore(state)
    >>> first == (random.random(), float(torch.rand(())))
    True
    """
    version, words, gauss = random.getstate()
    legacy = np.random.get_state(legacy=False)
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() and torch.cuda.is_initialized() else []
    return {
        "torch": torch.get_rng_state(),
        "cuda": cuda,
        "python": {"version": version, "words": torch.tensor(words, dtype=torch.int64), "gauss": gauss},
        "numpy": {
            "keys": torch.from_numpy(legacy["state"]["key"].astype(np.int64)),
            "position": int(legacy["state"]["pos"]),
            "has_gauss": int(legacy["has_gauss"]),
            "cached": float(legacy["gauss"]),
        },
    }


def restore(state: dict[str, Any]) -> None:
    """Put the global generators back to a captured ``state``.

    A machine with fewer CUDA devices than the state takes the first ones. Errors: CheckpointError when the state is
    not one of :func:`capture`; every generator is as before then.

    >>> restore({"torch": 1})
    Traceback (most recent call last):
        ...
    prunus.errors.CheckpointError: random state lacks cuda, numpy, python: it was not made by rng.capture
    """
    absent = [name for name in NAMES if name not in state]
    if absent:
        raise CheckpointError(f"random state lacks {', '.join(absent)}: it was not made by rng.capture")
    before = capture()
    try:
        _restore(state)
    except Exception as fault:  # each generator rejects a foreign state in its own way
        _restore(before)
        raise CheckpointError(f"random state cannot be restored: {type(fault).__name__}: {fault}") from fault


def _restore(state: dict[str, Any]) -> None:
    python, legacy = state["python"], state["numpy"]
    random.setstate((python["version"], tuple(python["words"].tolist()), python["gauss"]))
    keys = legacy["keys"].numpy().astype(np.uint32)
    np.random.set_state(("MT19937", keys, legacy["position"], legacy["has_gauss"], legacy["cached"]))
    torch.set_rng_state(state["torch"])
    devices = torch.cuda.device_count() if state["cuda"] and torch.cuda.is_available() else 0
    for index, one in enumerate(state["cuda"][:devices]):
        torch.cuda.set_rng_state(one, index)
