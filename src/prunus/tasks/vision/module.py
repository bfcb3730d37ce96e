"""An image classifier for Lightning, with the optimizer, schedule and pruning groups of a configuration."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer

from prunus.select import PruningManager
from prunus.tasks.experiment.optimizers import optimization


class ImageModule(LightningModule):
    """Train a classifier with cross-entropy; logs loss and accuracy of every part.

    Args:
        model: images (batch, 1, 28, 28) to logits (batch, classes).
        optimizer: makes the optimizer from parameters or groups.
        lr_scheduler: ``scheduler`` and ``extras``, see :func:`prunus.tasks.experiment.optimization`.
        pruning_groups: settings of :class:`prunus.select.PruningManager`; None trains all parameters alike.

    Logs ``train/loss``, ``valid/loss``, ``valid/accuracy``, ``test/loss``, ``test/accuracy``.

    >>> from functools import partial
    >>> import torch
    >>> module = ImageModule(nn.Flatten(), partial(torch.optim.SGD, lr=0.1))
    >>> module(torch.zeros(2, 1, 28, 28)).shape
    torch.Size([2, 784])
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: Callable[[Iterable[Any]], Optimizer],
        lr_scheduler: Mapping[str, Any] | None = None,
        pruning_groups: Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.optimizer, self.lr_scheduler, self.pruning_groups = optimizer, lr_scheduler, pruning_groups
        self.pruning_manager: PruningManager | None = None

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits."""
        logits: Tensor = self.model(images)
        return logits

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Return the loss of one batch."""
        loss = F.cross_entropy(self(batch[0]), batch[1])
        self.log("train/loss", loss, on_step=False, on_epoch=True, batch_size=len(batch[1]))
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Log loss and accuracy of a validation batch."""
        self._judge("valid", batch)

    def test_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Log loss and accuracy of a test batch."""
        self._judge("test", batch)

    def configure_optimizers(self) -> dict[str, Any]:  # type: ignore[override]
        """Return the optimizer and its schedule; the pruning groups stay at hand as ``pruning_manager``."""
        made = optimization(self, self.optimizer, self.lr_scheduler, self.pruning_groups)
        self.pruning_manager = made.pruning_manager
        return made.for_lightning()

    def _judge(self, part: str, batch: tuple[Tensor, Tensor]) -> None:
        logits, labels = self(batch[0]), batch[1]
        right = (logits.argmax(dim=1) == labels).float().mean()
        figures = {f"{part}/loss": F.cross_entropy(logits, labels), f"{part}/accuracy": right}
        self.log_dict(figures, batch_size=len(labels))
