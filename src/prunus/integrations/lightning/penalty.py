"""The loss scale of a Lightning run at the moment when the gradient of a penalty is added."""

from __future__ import annotations

from lightning.pytorch import Trainer
from lightning.pytorch.plugins.precision import MixedPrecision
from torch.optim import Optimizer


def scale_of(trainer: Trainer, optimizer: Optimizer) -> float:
    """Return the loss scale that still is in the gradients when ``on_before_optimizer_step`` is called.

    Lightning has removed it by then, except for fused optimizers, which remove it inside their step.

    >>> import torch
    >>> trainer = Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)
    >>> scale_of(trainer, torch.optim.SGD([torch.ones(1, requires_grad=True)]))
    1.0
    """
    plugin = trainer.precision_plugin
    unscales_later = bool(getattr(optimizer, "_step_supports_amp_scaling", False))
    if isinstance(plugin, MixedPrecision) and plugin.scaler is not None and unscales_later:
        return float(plugin.scaler.get_scale())
    return 1.0
