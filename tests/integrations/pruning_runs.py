"""A small convolutional module for pruning callbacks, with the counts that a run is judged by."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn
from torch.nn import functional as F

from prunus.integrations.loop import ResumableLoader
from tests.e2e.runs import trainer_for

BATCHES, BATCH = 3, 4
OUTPUTS = {"conv.weight": 8, "up.weight": 6, "head.weight": 10}
INPUTS = {"conv.weight": 3, "up.weight": 8, "head.weight": 54}
WEIGHTS = {"conv.weight": 8 * 3 * 9, "up.weight": 8 * 6 * 4, "head.weight": 54 * 10}


class Pictures(LightningModule):
    """A convolution, a transposed one and a head; ``scores`` are the validation losses, one after the other."""

    def __init__(self, scores: Sequence[float] = (), plateau: bool = False, bregman: Any = None) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.conv, self.up, self.head = nn.Conv2d(3, 8, 3), nn.ConvTranspose2d(8, 6, 2), nn.Linear(54, 10)
        self.scores, self.plateau, self.bregman = list(scores), plateau, bregman

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.up(F.relu(self.conv(images))).relu().flatten(1))

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        loss = F.cross_entropy(self(batch[0]), batch[1])
        self.log("train_loss", loss, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        loss = F.cross_entropy(self(batch[0]), batch[1])
        self.log("val_loss", loss)

    def on_validation_epoch_end(self) -> None:
        if self.scores and not self.trainer.sanity_checking:
            self.log("score", self.scores.pop(0))

    def configure_optimizers(self) -> Any:
        if self.bregman is not None:
            return self.bregman(self)
        optimizer = torch.optim.Adam(self.parameters(), lr=1e-2)
        if not self.plateau:
            return optimizer
        watcher = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0, factor=0.5)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": watcher, "monitor": "score"}}


def loaders() -> tuple[ResumableLoader, ResumableLoader]:
    generator = torch.Generator().manual_seed(8)
    images, labels = torch.rand(BATCHES * BATCH, 3, 4, 4, generator=generator), torch.arange(BATCHES * BATCH) % 10
    train = ResumableLoader(images, labels, batch_size=BATCH, seed=2)
    return train, ResumableLoader(images, labels, batch_size=BATCH, shuffle=False)


def fit(folder: Path, callbacks: Sequence[Callback], module: Pictures | None = None, **settings: Any) -> Pictures:
    module, ckpt_path = module or Pictures(), settings.pop("ckpt_path", None)
    usual = {"enable_checkpointing": "Checkpoint" in str(callbacks), "num_sanity_val_steps": 0}
    trainer_for(folder, list(callbacks), **{**usual, **settings}).fit(module, *loaders(), ckpt_path=ckpt_path)
    return module


def zero_groups(model: nn.Module, dim: int | None) -> dict[str, int]:
    """Count, weight by weight, the single zeros, or the outputs (0) or inputs (1) that are zero throughout."""
    counts = {}
    for name in OUTPUTS:
        weight = model.get_parameter(name)
        if dim is None:
            counts[name] = int((weight == 0).sum())
        else:
            axis = 1 - dim if name == "up.weight" else dim
            counts[name] = int((weight.transpose(0, axis).flatten(1) == 0).all(dim=1).sum())
    return counts


class Counting(Callback):
    """Notes the zero groups when an epoch begins, after every batch, and when it ends."""

    def __init__(self, dim: int | None = None) -> None:
        self.dim = dim
        self.rows: list[dict[str, int]] = []
        self.batches: list[list[dict[str, int]]] = []

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.rows.append(zero_groups(pl_module, self.dim))
        self.batches.append([])

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        self.batches[-1].append(zero_groups(pl_module, self.dim))
