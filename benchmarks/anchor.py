"""Do our optimizers train like the published code? A small network on scikit-learn's digits, beside its own figures.

The figures to meet were taken with the code of Bungert et al. (github.com/TimRoith/BregmanLearning, commit 7bb52c8) on
the same setting: MLP 64-200-80-10, 20 % of the 1,797 digits to test on, 1 % of the weights alive at the start, batch
64, 60 epochs, three seeds. Splits and weights are drawn by other random numbers there, so compare means, not runs.
As there, one mean and one deviation standardise all pixels, and each weight is alive at the start by a draw of its own.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional as F

from prunus import measure
from prunus.actions import Steer
from prunus.integrations.loop import ResumableLoader
from prunus.optim import AdaBreg, BregmanOptimizer, LinBreg, ProxSGD
from prunus.regularizers import RegL1
from prunus.scheduler import CompressionScheduler
from prunus.steering import LambdaScheduler

Build = Callable[[list[dict[str, object]]], BregmanOptimizer]
SGD, ADAM = 0.1, 1e-3
ROWS: list[tuple[str, Build, float, float | None, float, float]] = [
    ("LinBreg, λ 0.01", lambda groups: LinBreg(groups, SGD), 0.01, None, 97.50, 17.6),
    ("LinBreg, λ 0.1", lambda groups: LinBreg(groups, SGD), 0.1, None, 96.85, 5.3),
    ("LinBreg, λ 0.3", lambda groups: LinBreg(groups, SGD), 0.3, None, 96.76, 3.0),
    ("LinBreg, momentum 0.9, λ 0.1", lambda groups: LinBreg(groups, SGD, momentum=0.9), 0.1, None, 97.50, 5.6),
    ("AdaBreg, λ 0.1", lambda groups: AdaBreg(groups, ADAM), 0.1, None, 97.96, 41.0),
    ("AdaBreg, λ 0.3", lambda groups: AdaBreg(groups, ADAM), 0.3, None, 97.96, 16.5),
    ("ProxSGD, λ 0.001", lambda groups: ProxSGD(groups, SGD), 0.001, None, 97.04, 12.2),
    ("LinBreg, λ feedback to 90 %", lambda groups: LinBreg(groups, SGD), 0.01, 0.9, 97.4, 10.05),
    ("LinBreg, λ feedback to 95 %", lambda groups: LinBreg(groups, SGD), 0.01, 0.95, 97.2, 5.09),
    ("AdaBreg, λ feedback to 90 %", lambda groups: AdaBreg(groups, ADAM), 0.01, 0.9, 96.5, 10.03),
    ("AdaBreg, λ feedback to 95 %", lambda groups: AdaBreg(groups, ADAM), 0.01, 0.95, 94.4, 5.07),
]
"""Name, optimizer, λ (at the start), target of the feedback; test accuracy and density, in %, of the published code."""


def digits(seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return standardised images and labels to train on, then to test on, split by the seed."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    images, labels = load_digits(return_X_y=True)
    parts = train_test_split(images, labels, test_size=0.2, random_state=seed, stratify=labels)
    train, test, seen, unseen = (torch.from_numpy(part) for part in parts)
    mean, deviation = train.mean(), train.std()
    return ((train - mean) / deviation).float(), seen, ((test - mean) / deviation).float(), unseen


def network(seed: int, density: float = 0.01) -> nn.Sequential:
    """Return the MLP with a share of its weights, drawn wide enough that the layers' outputs keep their scale."""
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(64, 200), nn.ReLU(), nn.Linear(200, 80), nn.ReLU(), nn.Linear(80, 10))
    for layer in model[::2]:
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        layer.weight.data.mul_(GAIN / density**0.5)
        nn.init.uniform_(layer.bias, 0.0, layer.in_features**-0.5)
        layer.weight.data.mul_(torch.rand_like(layer.weight) < density)
    return model


GAIN = 0.7


def run(build: Build, lamda: float, target: float | None, seed: int, epochs: int) -> tuple[float, float]:
    """Train once; return test accuracy and density of the weights, in %."""
    train, seen, test, unseen = digits(seed)
    model = network(seed)
    weights = [p for p in model.parameters() if p.dim() > 1]
    biases = [p for p in model.parameters() if p.dim() == 1]
    optimizer = build([{"params": weights, "reg": RegL1(lamda)}, {"params": biases}])
    steer = [] if target is None else [Steer(LambdaScheduler(lamda, target, 0.25, 1e-6, 10.0))]
    loader = ResumableLoader(train, seen, batch_size=64, seed=seed)
    scheduler = CompressionScheduler(model, steer, optimizer=optimizer, steps_per_epoch=len(loader))
    for _ in scheduler.epochs(epochs):
        for images, labels in loader:
            F.cross_entropy(model(images), labels).backward()
            optimizer.step()
            optimizer.zero_grad()
    accuracy = float((model(test).argmax(dim=1) == unseen).float().mean())
    return 100 * accuracy, 100 - 100 * measure.count(model).sparsity


def told(values: list[float]) -> str:
    """Mean and spread of a list of figures."""
    return f"{statistics.mean(values):.2f} ± {statistics.stdev(values) if len(values) > 1 else 0.0:.2f}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one seed, two epochs: does it run?")
    quick = parser.parse_args().quick
    torch.set_num_threads(1)
    seeds, epochs = (1, 2) if quick else (5, 60)
    print(f"{epochs} epochs, {seeds} seeds here (mean ± standard deviation), 3 seeds in the reference; all in %.\n")
    print("| setting | test | reference | density | reference |\n|---|---|---|---|---|")
    for name, build, lamda, target, accuracy, density in ROWS:
        tests, densities = zip(*(run(build, lamda, target, seed, epochs) for seed in range(seeds)), strict=True)
        print(f"| {name} | {told([*tests])} | {accuracy} | {told([*densities])} | {density} |", flush=True)


if __name__ == "__main__":
    main()
