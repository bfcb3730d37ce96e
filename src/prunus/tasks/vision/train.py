"""Train a classifier under policies: one plain loop on prunus's scheduler, and what it recorded."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from prunus.actions import Action
from prunus.integrations.loop import ResumableLoader
from prunus.policy import Policy
from prunus.report.records import Point
from prunus.scheduler import CompressionScheduler
from prunus.tasks.vision.images import ImageSet

EVALUATION_BATCH = 500


@dataclass
class History:
    """What a run recorded: readings in time, and the seconds it took, evaluation included.

    ``accuracy`` is the last one measured; no epoch is picked by it. ``seconds`` are of the clock, ``cpu_seconds`` of
    all threads together.

    >>> history = History()
    >>> history.add(Point(epoch=1.0, accuracy=0.5))
    >>> history.accuracy
    0.5
    """

    points: list[Point] = field(default_factory=list)
    seconds: float = 0.0
    cpu_seconds: float = 0.0

    def add(self, point: Point) -> None:
        """Append one reading."""
        self.points.append(point)

    @property
    def accuracy(self) -> float:
        """The last accuracy that was measured, 0 when none was."""
        return next((point.accuracy for point in reversed(self.points) if point.accuracy is not None), 0.0)


def train(
    model: nn.Module,
    data: ImageSet,
    policies: Sequence[Policy | Action],
    optimizer: torch.optim.Optimizer,
    *,
    epochs: int,
    batch_size: int = 64,
    seed: int = 0,
    every: int = 10,
    watch: Callable[[Point], None] | None = None,
) -> History:
    """Train ``model`` on ``data`` for ``epochs`` under ``policies`` and return what was recorded.

    Cross-entropy, mini-batches of ``batch_size`` in an order decided by ``seed``; every ``every`` steps loss, sparsity
    and λ are recorded, after every epoch the test accuracy too. ``watch`` sees each reading as it is made.

    Raises SettingError for settings out of range, and what CompressionScheduler raises for policies that do not fit.

    >>> from prunus.tasks.vision.models import build
    >>> images, labels = torch.zeros(8, 1, 28, 28), torch.zeros(8, dtype=torch.long)
    >>> data = ImageSet("blank", "made by hand.", images, labels, images, labels)
    >>> model = build("lenet_300_100")
    >>> train(model, data, [], torch.optim.Adam(model.parameters(), 0.01), epochs=5).accuracy
    1.0
    """
    loader = ResumableLoader(data.train_images, data.train_labels, batch_size=batch_size, seed=seed)
    scheduler = CompressionScheduler(model, policies, optimizer=optimizer, steps_per_epoch=len(loader))
    recorder = _Recorder(scheduler, len(loader), every, watch)
    for _ in scheduler.epochs(epochs):
        model.train()
        for images, labels in loader:
            loss = scheduler.loss(F.cross_entropy(model(images), labels))
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            recorder.step(loss)
        accuracy = evaluate(model, data)
        scheduler.epoch_end({"accuracy": accuracy})
        recorder.read(accuracy)
    return recorder.finished()


@torch.inference_mode()
def evaluate(model: nn.Module, data: ImageSet) -> float:
    """Return the share of test images that ``model`` classifies correctly, in evaluation mode.

    >>> images, labels = torch.eye(4), torch.tensor([0, 1, 2, 0])
    >>> evaluate(nn.Identity(), ImageSet("toy", "by hand.", images, labels, images, labels))
    0.75
    """
    was_training = model.training
    model.eval()
    batches = zip(data.test_images.split(EVALUATION_BATCH), data.test_labels.split(EVALUATION_BATCH), strict=True)
    correct = sum(int((model(images).argmax(dim=1) == labels).sum()) for images, labels in batches)
    model.train(was_training)
    return correct / len(data.test_labels)


class _Recorder:
    """Reads loss, sparsity and λ every few steps and keeps the time."""

    def __init__(
        self, scheduler: CompressionScheduler, steps: int, every: int, watch: Callable[[Point], None] | None
    ) -> None:
        self.scheduler, self.steps, self.every, self.watch = scheduler, steps, every, watch
        self.history = History()
        self.losses: list[Tensor] = []
        self.started = time.perf_counter(), time.process_time()

    def step(self, loss: Tensor) -> None:
        """Keep the loss of one step; take a reading when one is due."""
        self.losses.append(loss.detach())
        if len(self.losses) == self.every and self.scheduler.step % self.steps:
            self.read(None)

    def read(self, accuracy: float | None) -> None:
        """Take one reading; the loss is the mean since the last one."""
        figures = self.scheduler.metrics()
        loss = float(torch.stack(self.losses).mean()) if self.losses else None
        self.losses = []
        epoch = self.scheduler.step / self.steps
        point = Point(epoch, loss, figures["sparsity"], figures.get("lambda"), accuracy)
        self.history.add(point)
        if self.watch is not None:
            self.watch(point)

    def finished(self) -> History:
        """Return the history with the time that has passed."""
        self.history.seconds = time.perf_counter() - self.started[0]
        self.history.cpu_seconds = time.process_time() - self.started[1]
        return self.history
