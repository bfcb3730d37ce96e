"""A network small enough for loops in Python, and one training loop with Distiller's callbacks."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from prunus.recipes.distiller import DistillerScheduler

BATCHES = 3


def network() -> nn.Sequential:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(16, 5))
    return model.double()


def sgd(model: nn.Module) -> torch.optim.SGD:
    return torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=0.01)


def batches(epoch: int) -> Iterator[tuple[int, Tensor, Tensor]]:
    """The same in every run, whatever was drawn before."""
    for batch in range(BATCHES):
        generator = torch.Generator().manual_seed(100 * epoch + batch)
        images = torch.rand(6, 1, 4, 4, generator=generator, dtype=torch.float64)
        yield batch, images, torch.randint(5, (6,), generator=generator)


def loss_of(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    return nn.functional.cross_entropy(model(images), labels)


def minibatch(scheduler: DistillerScheduler, epoch: int, batch: int, images: Tensor, labels: Tensor) -> None:
    model, optimizer = scheduler.model, scheduler.optimizer
    scheduler.on_minibatch_begin(epoch, batch, BATCHES, optimizer)
    loss = scheduler.before_backward_pass(epoch, batch, BATCHES, loss_of(model, images, labels), optimizer)
    optimizer.zero_grad()
    loss.backward()
    scheduler.before_parameter_optimization(epoch, batch, BATCHES, optimizer)
    optimizer.step()
    scheduler.on_minibatch_end(epoch, batch, BATCHES, optimizer)


def weights(model: nn.Module) -> list[Tensor]:
    return [parameter.detach().clone() for parameter in model.parameters()]


def run(scheduler: DistillerScheduler, epochs: int) -> list[list[Tensor]]:
    """Train and return all weights after every mini-batch and every epoch."""
    trace = []
    for epoch in range(epochs):
        scheduler.on_epoch_begin(epoch, scheduler.optimizer)
        for batch, images, labels in batches(epoch):
            minibatch(scheduler, epoch, batch, images, labels)
            trace.append(weights(scheduler.model))
        scheduler.on_epoch_end(epoch, scheduler.optimizer, metrics={"min": 1.0, "max": 0.5})
        trace.append(weights(scheduler.model))
    return trace


def equal(one: list[list[Tensor]], other: list[list[Tensor]]) -> bool:
    """Bit for bit, apart from the sign of zero."""
    same = (torch.equal(a, b) for x, y in zip(one, other, strict=True) for a, b in zip(x, y, strict=True))
    return all(same)
