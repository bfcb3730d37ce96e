"""How long a Lightning run is, in epochs and optimizer steps, as far as it can be known before it starts."""

from __future__ import annotations

import math

from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import GradientAccumulationScheduler


def steps_per_epoch(trainer: Trainer) -> int | None:
    """Return the optimizer steps of one epoch, or None when Lightning cannot tell.

    That is ⌈batches / accumulate_grad_batches⌉, since Lightning steps on the last batch in any case. Unknown for data
    without a length, for manual optimization, and while the number of accumulated batches follows a plan.

    >>> trainer = Trainer(max_epochs=3, accelerator="cpu", logger=False, enable_checkpointing=False)
    >>> steps_per_epoch(trainer) is None  # the data has not been asked for yet
    True
    """
    batches = trainer.num_training_batches
    changing = any(isinstance(one, GradientAccumulationScheduler) for one in trainer.callbacks)  # type: ignore[attr-defined]
    if math.isinf(batches) or changing or not trainer.lightning_module.automatic_optimization:
        return None
    return math.ceil(batches / trainer.accumulate_grad_batches)


def epochs(trainer: Trainer) -> int | None:
    """Return the epochs of the run, or None when there is no end or ``max_steps`` ends it inside an epoch.

    >>> epochs(Trainer(max_epochs=3, accelerator="cpu", logger=False, enable_checkpointing=False))
    3
    """
    most = trainer.max_epochs if trainer.max_epochs not in (None, -1) else None
    if trainer.max_steps == -1:
        return most
    steps = steps_per_epoch(trainer)
    if steps is None:
        return None
    whole, rest = divmod(trainer.max_steps, steps)
    if most is not None and most <= whole:
        return most
    return None if rest else whole
