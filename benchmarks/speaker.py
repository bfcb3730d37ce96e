"""Speaker verification on packaged prompts: a published LSTM pruned two ways, and small networks from scratch.

Resemblyzer keeps its first recurrent matrix, without which it forgets everything: half of its other weights are pruned.

Needs the recorded voices (Debian's sound packages, fetched with apt-get, no root) and the package Resemblyzer (fetched
with pip). Without them it prints what is missing and measures nothing.
"""

from __future__ import annotations

import argparse
import logging
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn
from torch.nn import functional as F

from prunus import measure
from prunus.actions import Action, Prune, SetLR, Steer
from prunus.errors import PrunusError
from prunus.optim import AdaBreg
from prunus.policy import Policy
from prunus.regularizers import RegL1
from prunus.scheduler import CompressionScheduler
from prunus.schedules import Cubic, Linear, OneShot
from prunus.select import Select, targets
from prunus.steering import SparsityBudget
from prunus.tasks.speaker import AAMSoftmax, Augment, Encoder, Interval, SpeakerData, Trials, all_pairs, build
from prunus.tasks.speaker.data_module import Utterances
from prunus.tasks.speaker.sound import unpacked
from prunus.window import Window

WHOLE = Select(include=("0.network.*",))
SPARED = Select(include=("0.network.*",), exclude=("*.weight_hh_l0",))
Plan = tuple[torch.optim.Optimizer, list[Policy | Action]]
SHAPES = {"resemblyzer": (1.6, 32, 5e-4, 4, SPARED, 0.5), "scratch": (2.0, 64, 2e-3, 8, WHOLE, 0.9)}
"""Seconds of a crop, batch size, learning rate, epochs, what is pruned, and how much of it."""


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    method: str
    sparsity: float
    eer: Interval
    dcf: Interval
    seconds: float

    def __str__(self) -> str:
        cost = f"{self.seconds:.0f}" if self.seconds else ""
        return f"| {self.method} | {100 * self.sparsity:.2f} | {percent(self.eer)} | {self.dcf} | {cost} |"


def percent(found: Interval) -> str:
    """An interval in percent."""
    return f"{100 * found.value:.1f} ({100 * found.low:.1f}–{100 * found.high:.1f})"


def dense(model: nn.Sequential, lr: float, select: Select, target: float) -> Plan:
    """Adam without pruning."""
    return torch.optim.Adam(model.parameters(), lr), []


def gradual(model: nn.Sequential, lr: float, select: Select, target: float) -> Plan:
    """Gradual magnitude pruning of the encoder along a cubic ramp over 60 % of the run, one ranking."""
    prune = Policy(Prune(Cubic(target), select=select), Window(0, "0.6dur", 5, "step"))
    return torch.optim.Adam(model.parameters(), lr), [prune]


def budget(model: nn.Sequential, lr: float, select: Select, target: float) -> Plan:
    """AdaBreg with a small fixed λ and an exact cap on the encoder's survivors."""
    weights = [target.parameter for target in targets(model, select)]
    chosen = {id(weight) for weight in weights}
    rest = [parameter for parameter in model.parameters() if id(parameter) not in chosen]
    optimizer = AdaBreg([{"params": weights, "reg": RegL1(2 * lr)}, {"params": rest}], lr=lr)
    return optimizer, [Policy(Steer(SparsityBudget(target, period=20)))]


def once(model: nn.Sequential, target: float, select: Select) -> None:
    """Prune by magnitude, one ranking, and leave it at that."""
    CompressionScheduler(model, [Policy(Prune(OneShot(target), select=select), Window(0, 1))]).epoch_begin()


METHODS: dict[str, tuple[str, Callable[[nn.Sequential, float, Select, float], Plan] | None]] = {
    "Resemblyzer, published": ("resemblyzer", None),
    "Resemblyzer, pruned once to 30 %, first recurrence too": ("resemblyzer", None),
    "Resemblyzer, pruned once": ("resemblyzer", None),
    "Resemblyzer, fine-tuned dense": ("resemblyzer", dense),
    "Resemblyzer, gradual magnitude": ("resemblyzer", gradual),
    "Resemblyzer, AdaBreg and sparsity budget": ("resemblyzer", budget),
    "ECAPA-TDNN small, untrained": ("ecapa_tdnn_small", None),
    "ECAPA-TDNN small, from scratch": ("ecapa_tdnn_small", dense),
    "ECAPA-TDNN small, from scratch, gradual magnitude": ("ecapa_tdnn_small", gradual),
    "ECAPA-TDNN small, from scratch, AdaBreg and sparsity budget": ("ecapa_tdnn_small", budget),
    "x-vector small, untrained": ("x_vector_small", None),
    "x-vector small, from scratch": ("x_vector_small", dense),
}


def perform(method: str, source: str, most: int) -> Row:
    """Build, train if the method does, and test one row."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    warnings.simplefilter("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    name, plan = METHODS[method]
    crop, batch, lr, epochs, select, target = SHAPES.get(name, SHAPES["scratch"])
    data = SpeakerData(batch, source=source)
    data.setup()
    encoder = build(name, published=name == "resemblyzer")
    model = nn.Sequential(encoder, AAMSoftmax(encoder.dim, data.speakers))
    began = time.process_time()
    if plan is not None:
        if name == "resemblyzer":
            start_classes_(model, data.train)
        train(model, data, *plan(model, lr, select, target), epochs=min(most, epochs), crop=crop)
    elif "30 %" in method:
        once(model, 0.3, WHOLE)
    elif "pruned once" in method:
        once(model, target, select)
    seconds = time.process_time() - began if plan else 0.0
    found = scored(encoder, data.test).intervals()
    kept = measure.count(encoder)
    return Row(method, kept.sparsity, found["eer"], found["min_dcf_05"], seconds)


def start_classes_(model: nn.Sequential, heard: Utterances) -> None:
    """Let the class vectors start at the mean embeddings, so that a trained encoder is not torn away from them."""
    some = torch.arange(len(heard.labels)) % 8 == 0
    unit = F.normalize(embedded(model[0], heard.waves[some]), dim=1)
    means = torch.zeros_like(model[1].weight).index_add_(0, heard.labels[some], unit)
    model[1].weight.data.copy_(F.normalize(means, dim=1))


def train(
    model: nn.Sequential,
    data: SpeakerData,
    optimizer: torch.optim.Optimizer,
    policies: list[Policy | Action],
    *,
    epochs: int,
    crop: float,
) -> None:
    """The plain loop, with a learning rate that falls linearly to zero."""
    loader, augment = data.train_dataloader(), Augment(seconds=crop, noise=0.6, band=400.0)
    decay = Policy(SetLR(Linear(initial=1.0, final=0.0)))
    scheduler = CompressionScheduler(model, [*policies, decay], optimizer=optimizer, steps_per_epoch=len(loader))
    generator = torch.Generator().manual_seed(0)
    for _ in scheduler.epochs(epochs):
        model.train()
        for waves, labels in loader:
            loss = model[1](model[0](augment(unpacked(waves), generator)), labels)
            scheduler.loss(loss).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimizer.step()
            optimizer.zero_grad()
        scheduler.epoch_end()


@torch.inference_mode()
def embedded(encoder: Encoder, waves: torch.Tensor) -> torch.Tensor:
    """The embeddings of int16 waves, in evaluation mode."""
    encoder.eval()
    return torch.cat([encoder(unpacked(part)) for part in waves.split(64)])


def scored(encoder: Encoder, heard: Utterances) -> Trials:
    """All pairs of the test utterances."""
    return all_pairs(embedded(encoder, heard.waves), heard.labels)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="synthetic voices, one epoch, small networks: a smoke test"
    )
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", default="", help="rows whose name holds this")
    given = parser.parse_args()
    source = "synthetic" if given.quick else "debian"
    data = SpeakerData(source=source)
    try:
        data.setup()
        build("resemblyzer", published=not given.quick)
    except PrunusError as fault:
        print(f"Not measured on this machine: {fault}")
        return
    wanted = "x-vector" if given.quick else given.only
    names = [name for name in METHODS if wanted in name]
    print(f"{data.source}\n\n{about(data)}\n")
    print("| method | encoder zeros, % | EER, % | minDCF at 0.05 | CPU s of training |\n|---|---|---|---|---|")
    run = partial(perform, source=source, most=1 if given.quick else 100)
    with ProcessPoolExecutor(given.workers) as pool:
        for row in pool.map(run, names):
            print(row, flush=True)


def about(data: SpeakerData) -> str:
    """What was trained and tested on."""
    trials = all_pairs(torch.zeros(len(data.test.labels), 2), data.test.labels)
    same = int(trials.targets.sum())
    return (
        f"{data.speakers} training speakers, {data.train.minutes:.0f} minutes of 3 s utterances; test: "
        f"{len(data.test.names)} others, {data.test.minutes:.1f} minutes, {same:,} target and "
        f"{len(trials.targets) - same:,} non-target trials. In brackets: 95 % bootstrap intervals over speakers. "
        "One seed."
    )


if __name__ == "__main__":
    main()
