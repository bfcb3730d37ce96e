"""What the benchmarks on Fashion-MNIST share: the split, one training run, and results that survive a kill."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from prunus import measure
from prunus.actions import Action
from prunus.checkpoints import load_run, save_run
from prunus.integrations.loop import ResumableLoader
from prunus.policy import Policy
from prunus.scheduler import CompressionScheduler
from prunus.tasks import vision

RESULTS = Path(__file__).parent / "results"
HELD_OUT = 5000
"""The last training images, which no run trains on: hyper-parameters are chosen on them."""


@dataclass(frozen=True)
class Plan:
    """A method on a model: what the scheduler hangs on, the policies, and what is stepped (None: the optimizer)."""

    optimizer: torch.optim.Optimizer
    policies: Sequence[Policy | Action]
    stepper: torch.optim.Optimizer | None = None


@dataclass(frozen=True)
class Course:
    """How long and on what a run trains; the learning rate belongs to the plan."""

    epochs: int
    batch: int
    seed: int
    flip: bool = False
    shift: int = 0
    smoothing: float = 0.0


def parts(images: int | None = None) -> tuple[vision.ImageSet, vision.ImageSet]:
    """Return the data twice, without the held-out images: once to be scored on the test part, once on the held out."""
    data = vision.load()
    total = len(data.train_labels)
    cut = total - min(HELD_OUT, total // 4)
    held_images, held_labels = data.train_images[cut:], data.train_labels[cut:]
    data = replace(data, train_images=data.train_images[:cut], train_labels=data.train_labels[:cut])
    data = data.take(train=min(images or cut, cut))
    return data, replace(data, test_images=held_images, test_labels=held_labels)


def fit(model: nn.Module, data: vision.ImageSet, plan: Plan, course: Course, keep: Path | None = None) -> None:
    """Train in channels-last and bf16 autocast (weights and optimizer in float32) on this process's threads.

    ``keep`` names a checkpoint: it is written after every epoch, and where it exists the run goes on from there.
    """
    loader = ResumableLoader(
        data.train_images, data.train_labels, batch_size=course.batch, seed=course.seed, drop_last=True
    )
    scheduler = CompressionScheduler(model, plan.policies, optimizer=plan.optimizer, steps_per_epoch=len(loader))
    stepper = plan.stepper or plan.optimizer
    run: Any = {"model": model, "optimizer": plan.optimizer, "scheduler": scheduler, "loader": loader}
    torch.manual_seed(course.seed)
    if keep is not None and keep.exists():
        load_run(keep, **run)
    for _ in scheduler.epochs(course.epochs):
        model.train()
        for images, labels in loader:
            with torch.autocast("cpu", torch.bfloat16):
                logits = model(moved(images, course.flip, course.shift))
                loss = F.cross_entropy(logits, labels, label_smoothing=course.smoothing)
            loss.backward()
            stepper.step()
            plan.optimizer.zero_grad()
        if keep is not None:
            scheduler.epoch_end()
            save_run(keep, **run)


def moved(images: Tensor, flip: bool, shift: int) -> Tensor:
    """Mirror about every second image, and move each by up to ``shift`` pixels (what comes in is background)."""
    if flip:
        images = torch.where(torch.rand(len(images), 1, 1, 1) < 0.5, images.flip(3), images)
    if not shift:
        return images
    size, background = images.shape[-1], float(images.min())
    wide = F.pad(images, [shift] * 4, value=background).squeeze(1)
    down, right = torch.randint(0, 2 * shift + 1, (2, len(images), 1)) + torch.arange(size)
    return wide[torch.arange(len(images))[:, None, None], down[:, :, None], right[:, None, :]].unsqueeze(1)


def score(model: nn.Module, test: vision.ImageSet, held: vision.ImageSet) -> dict[str, float]:
    """Return test and held-out accuracy in %, in float32, and the exact sparsity in %."""
    return {
        "test": 100 * vision.evaluate(model, test),
        "held": 100 * vision.evaluate(model, held),
        "sparsity": 100 * measure.count(model).sparsity,
    }


def read(path: Path) -> list[dict[str, Any]]:
    """Return the results written so far; a line that a kill cut short is left out."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("}")]


def append(path: Path, row: dict[str, Any]) -> None:
    """Add one result as a line, on disk before this returns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")
        file.flush()
        os.fsync(file.fileno())
