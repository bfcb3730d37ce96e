"""How long a run of Trainer is, in epochs and optimizer steps, as far as it is known before it starts."""

from __future__ import annotations

import math
from typing import Any

from transformers import TrainerState, TrainingArguments


def steps_per_epoch(args: TrainingArguments, loader: Any) -> int | None:
    """Return the optimizer steps of an epoch, ⌈batches / accumulation⌉, or None for data without a length.

    >>> from types import SimpleNamespace
    >>> steps_per_epoch(SimpleNamespace(gradient_accumulation_steps=4), range(10))
    3
    """
    try:
        batches = len(loader)
    except TypeError:
        return None
    return max(1, math.ceil(batches / int(args.gradient_accumulation_steps)))


def epochs(state: TrainerState, steps: int | None) -> int | None:
    """Return the epochs of the run, or None when it ends inside one, or their length is not known.

    >>> from types import SimpleNamespace
    >>> [epochs(SimpleNamespace(max_steps=most, num_train_epochs=3), 5) for most in (15, 12)]
    [3, None]
    """
    whole = steps is not None and state.max_steps == steps * state.num_train_epochs
    return int(state.num_train_epochs) if whole else None
