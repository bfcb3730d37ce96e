"""One recipe, unchanged, in a plain loop, in Lightning and in Hugging Face's Trainer.

Run: python examples/one_recipe.py [recipe.yaml]   (needs the extras "vision", "lightning" and "transformers")
The recipe may be native or Distiller's, with the names that the network has by itself: fc1.weight, fc2.weight, ...
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch import Trainer as LightningTrainer
from torch import Tensor, nn
from torch.nn import functional
from transformers import Trainer, TrainingArguments

from prunus import recipes
from prunus.integrations import lightning, transformers
from prunus.integrations.loop import ResumableLoader
from prunus.scheduler import CompressionScheduler
from prunus.tasks import vision
from prunus.tasks.vision.images import ImageSet

RECIPE = Path(__file__).parent.parent / "recipes/vision/gradual_magnitude_90.yaml"
BATCH, RATE = 64, 1e-3


def plain_loop(recipe: Path, data: ImageSet, epochs: int) -> CompressionScheduler:
    """The loop is yours; two lines in it are for the recipe."""
    model = vision.lenet_300_100()
    optimizer = torch.optim.Adam(model.parameters(), RATE)
    loader = ResumableLoader(data.train_images, data.train_labels, batch_size=BATCH)
    scheduler = recipes.opened(recipe).scheduler(model, optimizer, steps_per_epoch=len(loader))
    for _ in scheduler.epochs(epochs):
        for images, labels in loader:
            scheduler.step_begin()  # for recipes that act before the forward pass, as some of Distiller's do
            loss = scheduler.loss(functional.cross_entropy(model(images), labels))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return scheduler


class Module(LightningModule):
    """The network for Lightning."""

    def __init__(self) -> None:
        super().__init__()
        self.net = vision.lenet_300_100()

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        """Return the loss."""
        return functional.cross_entropy(self.net(batch[0]), batch[1])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return Adam."""
        return torch.optim.Adam(self.parameters(), RATE)


def in_lightning(recipe: Path, data: ImageSet, epochs: int) -> CompressionScheduler:
    """One callback; ``root`` says where in the module the network is that the recipe names."""
    callback = lightning.Compression(recipe, root="net")
    loader = ResumableLoader(data.train_images, data.train_labels, batch_size=BATCH)
    quiet = {
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    LightningTrainer(max_epochs=epochs, accelerator="cpu", callbacks=[callback], **quiet).fit(Module(), loader)
    return callback.scheduler


class Model(nn.Module):
    """The network for Trainer, which wants the loss in the output; a model of transformers has it already."""

    def __init__(self) -> None:
        super().__init__()
        self.net = vision.lenet_300_100()

    def forward(self, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Return loss and logits."""
        logits = self.net(images)
        return {"loss": functional.cross_entropy(logits, labels), "logits": logits}


def in_trainer(recipe: Path, data: ImageSet, epochs: int) -> CompressionScheduler:
    """One callback; a constant schedule, because this recipe moves the learning rate itself."""
    callback = transformers.Compression(recipe, root="net")
    rows = [{"images": x, "labels": y} for x, y in zip(data.train_images, data.train_labels, strict=True)]
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            folder,
            num_train_epochs=epochs,
            per_device_train_batch_size=BATCH,
            learning_rate=RATE,
            lr_scheduler_type="constant",
            report_to=[],
            save_strategy="no",
            disable_tqdm=True,
            use_cpu=True,
        )
        Trainer(Model(), arguments, train_dataset=rows, callbacks=[callback]).train()
    return callback.scheduler


def main(recipe: Path = RECIPE, epochs: int = 10, data: ImageSet | None = None) -> dict[str, float]:
    """Train three times, print accuracy and zeros, and return the sparsities."""
    data = data or vision.load()
    found = {}
    for door in (plain_loop, in_lightning, in_trainer):
        torch.manual_seed(0)
        scheduler = door(recipe, data, epochs)
        with torch.no_grad():
            accuracy = (scheduler.model(data.test_images).argmax(1) == data.test_labels).float().mean().item()
        print(f"{door.__name__}: accuracy {100 * accuracy:.1f} %, sparsity {scheduler.count()}")
        found[door.__name__] = scheduler.sparsity()
    return found


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
