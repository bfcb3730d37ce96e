"""What the engine costs in training: the same steps with and without it, in turn, in one process.

Claim: training with a scheduled pruning callback takes at most 1.02 times as long as without. Each pair trains the same
network on the same batches, once plain and once with the policy attached, pruning at the begin of each epoch and
enforcing masks after every step; the ratio is the median over pairs.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from prunus.actions import Action, Prune, Steer
from prunus.optim import AdaBreg
from prunus.policy import Policy
from prunus.regularizers import RegL1
from prunus.scheduler import CompressionScheduler
from prunus.schedules import Cubic
from prunus.steering import SparsityBudget
from prunus.tasks import vision

BATCH = 128


class Block(nn.Module):
    """Two convolutions and a shortcut."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.one, self.two = (nn.Conv2d(width, width, 3, padding=1, bias=False) for _ in range(2))
        self.norm_one, self.norm_two = nn.BatchNorm2d(width), nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output, of the shape of ``x``."""
        return F.relu(x + self.norm_two(self.two(F.relu(self.norm_one(self.one(x))))))


def small_resnet() -> nn.Module:
    """A residual network of three blocks, 28×28 images halved twice, 28k weights."""
    stem = nn.Sequential(nn.Conv2d(1, 16, 3, stride=2, padding=1), nn.ReLU())
    tail = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10))
    return nn.Sequential(stem, Block(16), nn.MaxPool2d(2), Block(16), Block(16), tail)


def train(make: Callable[[], nn.Module], kind: str, batches: list[tuple[Tensor, Tensor]], epochs: int) -> float:
    """Train from the same start; return the processor seconds of the loop, everything of prunus included."""
    torch.manual_seed(0)
    model = make()
    optimizer, policies = setup(model, kind)
    scheduler = CompressionScheduler(model, policies, optimizer=optimizer, steps_per_epoch=len(batches))
    if not policies:
        scheduler.detach()
    started = time.process_time()
    for _ in scheduler.epochs(epochs) if policies else range(epochs):
        for images, labels in batches:
            loss = F.cross_entropy(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return time.process_time() - started


def setup(model: nn.Module, kind: str) -> tuple[torch.optim.Optimizer, list[Policy | Action]]:
    """Optimizer and policies of one side of a pair."""
    if kind.startswith("adabreg"):
        weights = [p for p in model.parameters() if p.dim() > 1]
        rest = [p for p in model.parameters() if p.dim() == 1]
        adabreg = AdaBreg([{"params": weights, "reg": RegL1(0.003)}, {"params": rest}], lr=1e-3)
        return adabreg, [Steer(SparsityBudget(0.9))] if kind == "adabreg+budget" else []
    policies: list[Policy | Action] = [Prune(Cubic(0.9))] if kind == "adam+gradual" else []
    return torch.optim.Adam(model.parameters(), 1e-3), policies


def ratios(
    make: Callable[[], nn.Module], plain: str, ours: str, pairs: int, batches: list[tuple[Tensor, Tensor]], epochs: int
) -> list[float]:
    """Train in turn, plain first and second alternately, and return ours ÷ plain for each pair."""
    found = []
    for pair in range(pairs + 1):
        order = (plain, ours) if pair % 2 else (ours, plain)
        seconds = {kind: train(make, kind, batches, epochs) for kind in order}
        found.append(seconds[ours] / seconds[plain])
    return found[1:]  # the first pair warms up


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two short pairs: a smoke test")
    quick = parser.parse_args().quick
    torch.set_num_threads(1)
    pairs, steps, epochs = (2, 4, 2) if quick else (15, 100, 3)
    data = vision.load()
    batches = list(zip(data.train_images.split(BATCH), data.train_labels.split(BATCH), strict=True))[:-1]
    batches = (batches * (1 + steps // len(batches)))[:steps]
    print(f"One thread, batch {BATCH}, {epochs} epochs of {steps} steps, {pairs} pairs; CPU time with ÷ without.\n")
    print("| network | with | median ratio | quartiles |")
    print("|---|---|---|---|")
    for name, make in (("LeNet-300-100", vision.lenet_300_100), ("small ResNet", small_resnet)):
        for plain, ours, what in (
            ("adam", "adam+gradual", "gradual pruning to 90 %, every epoch"),
            ("adabreg", "adabreg+budget", "sparsity budget 90 %, every step"),
        ):
            found = ratios(make, plain, ours, pairs, batches, epochs)
            low, middle, high = (
                statistics.quantiles(found, n=4) if len(found) > 2 else (min(found), found[0], max(found))
            )
            print(f"| {name} | {what} | {middle:.3f} | {low:.3f} – {high:.3f} |")


if __name__ == "__main__":
    main()
