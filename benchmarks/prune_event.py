"""Prune 25 million weights once, beside reading them five times: how many passes does an event cost?"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence

import torch
from torch import nn

from prunus.actions import Prune, Site
from prunus.masks import MaskStore
from prunus.schedules import Linear
from prunus.structures import NM, Channel, Element, Filter, Kernel, Row, Structure

READS = 5


def linears(scale: int) -> nn.Sequential:
    """Return six square layers, 25.2 million weights at scale 2048."""
    return nn.Sequential(*[nn.Linear(scale, scale, bias=False) for _ in range(6)])


def convolutions(scale: int) -> nn.Sequential:
    """Return eleven 3x3 convolutions, 26.0 million weights at scale 2048."""
    return nn.Sequential(*[nn.Conv2d(scale // 4, scale // 4, 3, bias=False) for _ in range(11)])


CASES: list[tuple[Callable[[int], nn.Sequential], Structure]] = [
    (linears, Row()),
    (linears, NM(2, 4)),
    (linears, NM(4, 8)),
    (linears, Element()),
    (convolutions, Filter()),
    (convolutions, Channel()),
    (convolutions, Kernel()),
    (convolutions, NM(2, 4)),
]


def seconds(run: Callable[[], object]) -> float:
    """Return the processor time of one call, which other work on the machine changes least."""
    start = time.process_time()
    run()
    return time.process_time() - start


def read(weights: Sequence[nn.Parameter]) -> None:
    """Read every weight once: one sum a tensor, the fastest full read in torch."""
    for weight in weights:
        weight.detach().sum()


def once(build: Callable[[int], nn.Sequential], structure: Structure, scale: int) -> tuple[float, float, float]:
    """Return the seconds of one read, of the event that prunes a dense model to 25 %, and of the next, to 50 %."""
    model = build(scale)
    weights = list(model.parameters())
    bound = Prune(Linear(0.5, initial=0.25), structure=structure).bind(Site(model, None, MaskStore([])))
    read(weights)
    reading = statistics.median(seconds(lambda: read(weights)) for _ in range(READS))
    return reading, seconds(lambda: bound.fire(0, 0.0)), seconds(lambda: bound.fire(1, 1.0))


def line(build: Callable[[int], nn.Sequential], structure: Structure, scale: int, rounds: int) -> str:
    """Return one row: medians over the rounds, and ratios to five reads taken within each round."""
    runs = [once(build, structure, scale) for _ in range(rounds)]
    cells = [build.__name__, str(structure)]
    for index in (1, 2):
        ratios = [run[index] / (READS * run[0]) for run in runs]
        cells.append(f"{1e3 * statistics.median(run[index] for run in runs):.0f} ms")
        cells.append(f"{statistics.median(ratios):.1f} ({min(ratios):.1f}–{max(ratios):.1f})")
    cells.insert(2, f"{1e3 * READS * statistics.median(run[0] for run in runs):.0f} ms")
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Print the table; --quick runs each event once on small layers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round on small layers: does it run?")
    quick = parser.parse_args().quick
    torch.manual_seed(0)
    torch.set_num_threads(1)  # prune events run on the calling thread, so the read they are compared with does too
    scale, rounds = (256, 1) if quick else (2048, 9)
    print("An event scores, selects, writes the masks and clears the weights. “First” prunes a dense model to 25 %,")
    print(f"“next” goes on to 50 %. Ratios (÷) to {READS} reads (sums) of all weights in the same round, one thread,")
    print(f"processor time; median (range) of {rounds}. The goal for structured and n:m events is 1.5.\n")
    print("| layers | structure | five reads | first | ÷ | next | ÷ |\n|---|---|---|---|---|---|---|")
    for build, structure in CASES:
        print(line(build, structure, scale, rounds), flush=True)


if __name__ == "__main__":
    main()
