"""Let a scheduler take up a Lightning run that another program pruned: its masks, and the place where it stands."""

from __future__ import annotations

from collections.abc import Mapping

from lightning.pytorch import Trainer
from torch import Tensor

from prunus.checkpoints.mask_intake import take_masks
from prunus.scheduler import CompressionScheduler


def take_up(scheduler: CompressionScheduler, masks: Mapping[str, Tensor], trainer: Trainer) -> None:
    """Give the scheduler masks of a foreign run and the trainer's epoch and step, so that its schedule goes on there.

    What is pruned stays pruned; the policies start afresh at that place. In the middle of an epoch its begin is fired
    again, which brings the masks to the level of that epoch.

    Args:
        scheduler: one that has not begun.
        masks: name → bool tensor, True keeps.
        trainer: the trainer, its loops restored.
    """
    take_masks(scheduler.masks, scheduler.model, masks)
    scheduler.masks.apply_()
    scheduler.epoch, scheduler.step = trainer.current_epoch, trainer.global_step
    steps = scheduler.steps_per_epoch
    scheduler.step_in_epoch = max(0, scheduler.step - scheduler.epoch * steps) if steps else 0
