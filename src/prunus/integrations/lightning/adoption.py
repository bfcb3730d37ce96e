"""Live with pruning of other programs: take up their runs, and read their masks while they prune."""

from __future__ import annotations

from collections.abc import Mapping

from lightning.pytorch import Trainer
from torch import Tensor, nn

from prunus.checkpoints.mask_intake import take_masks
from prunus.checkpoints.torch_format import ORIG, places
from prunus.masks import MaskStore
from prunus.scheduler import CompressionScheduler
from prunus.select import Target


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


def torch_masks(model: nn.Module) -> MaskStore:
    """Return the masks that torch.nn.utils.prune has put on the model now; the model stays as it is.

    Applied, they zero what the forward pass multiplies by zero anyway, so that counts of zeros see it.

    >>> model = nn.utils.prune.l1_unstructured(nn.Linear(4, 2), "weight", amount=6)
    >>> torch_masks(model).apply_()
    >>> int(model.weight_orig.count_nonzero())
    2
    """
    found = {place.name + ORIG: place for place in places(model)}
    masks = MaskStore([Target(name, place.module, place.parameter_name + ORIG) for name, place in found.items()])
    masks.update({name: place.keep for name, place in found.items()})
    return masks


class TorchMasks:
    """What torch.nn.utils.prune masks while a scheduler runs, enforced beside the scheduler's own masks.

    >>> TorchMasks().store is None
    True
    """

    def __init__(self) -> None:
        self.store: MaskStore | None = None

    def follow(self, scheduler: CompressionScheduler) -> None:
        """Read the masks anew; to be called whenever another program may have pruned."""
        others = [masks for masks in scheduler.neighbours if masks is not self.store]
        self.store = torch_masks(scheduler.model)
        self.store.apply_()
        scheduler.neighbours[:] = [*others, self.store] if len(self.store) else others
