"""Keep the largest 10 % of many tensors: prunus.keep.exactly beside torch.nn.utils.prune and cat + kthvalue."""

from __future__ import annotations

import argparse
import ctypes
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.utils import prune

from prunus import keep

Layers = Sequence[nn.Linear]


def asked(layers: Layers) -> int:
    """Return the count to keep, a tenth of all."""
    return sum(layer.weight.numel() for layer in layers) // 10


def prunus_scores(layers: Layers) -> Sequence[Tensor]:
    """The weights are non-negative, so they are their own scores."""
    return keep.exactly([layer.weight for layer in layers], asked(layers))


def prunus_magnitudes(layers: Layers) -> Sequence[Tensor]:
    """The scores |w| are made first and held during the selection."""
    return keep.exactly([layer.weight.detach().abs() for layer in layers], asked(layers))


def cat_kthvalue(layers: Layers) -> Sequence[Tensor]:
    """The usual three lines; all ties at the threshold are kept."""
    flat = torch.cat([layer.weight.detach().view(-1) for layer in layers])
    threshold = flat.kthvalue(len(flat) - asked(layers) + 1).values
    return [layer.weight.detach() >= threshold for layer in layers]


def torch_global(layers: Layers) -> Sequence[Tensor]:
    """PyTorch's own: it leaves float masks as buffers and a pruned copy of each weight."""
    pruned = sum(layer.weight.numel() for layer in layers) - asked(layers)
    prune.global_unstructured([(layer, "weight") for layer in layers], prune.L1Unstructured, amount=pruned)
    return [layer.get_buffer("weight_mask") for layer in layers]


METHODS: dict[str, Callable[[Layers], Sequence[Tensor]]] = {
    "keep.exactly": prunus_scores,
    "keep.exactly, scores w.abs() made first": prunus_magnitudes,
    "torch.cat + kthvalue": cat_kthvalue,
    "torch global_unstructured": torch_global,
}


def make(elements: int) -> Layers:
    """Return 25 square layers whose weights are the absolute values of normal numbers."""
    side = round((elements / 25) ** 0.5)
    layers = [nn.utils.skip_init(nn.Linear, side, side, bias=False) for _ in range(25)]
    for layer in layers:
        layer.weight.detach().normal_().abs_()
    return layers


def resident(field: str) -> float:
    """Return a memory field of this process in MiB: VmRSS now, or VmHWM, the highest since it was last reset."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{field}:"))


def measure(method: str, elements: int) -> None:
    """Time one call in this fresh process, after a small one; print seconds, MiB of growth and of masks, surplus."""
    METHODS[method](make(1_000_000))
    layers = make(elements)
    wanted = asked(layers)
    ctypes.CDLL(None).malloc_trim(0)  # what the small call left in the allocator must not hide growth
    Path("/proc/self/clear_refs").write_text("5")  # resets VmHWM to VmRSS
    before, start = resident("VmRSS"), time.perf_counter()
    masks = METHODS[method](layers)
    seconds, growth = time.perf_counter() - start, resident("VmHWM") - before
    held = sum(mask.numel() * mask.element_size() for mask in masks) / 2**20
    print(seconds, growth, held, sum(int(mask.count_nonzero()) for mask in masks) - wanted)


def table(elements: int, rounds: int) -> str:
    """Run every method in a fresh process, in turn, ``rounds`` times; return the table of medians and ratios."""
    runs: dict[str, list[list[float]]] = {method: [] for method in METHODS}
    for _ in range(rounds):
        for method, found in runs.items():
            command = [sys.executable, __file__, "--measure", method, "--elements", str(elements)]
            printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
            found.append([float(word) for word in printed.split()])
    head = (
        "| method | kept − asked | time | ÷ exactly (range) | extra memory | ÷ exactly | beside the masks | ÷ exactly |"
    )
    lines = [row(method, runs[method], runs["keep.exactly"]) for method in METHODS]
    return "\n".join([head, "|---|---|---|---|---|---|---|---|", *lines])


def row(method: str, runs: list[list[float]], ours: list[list[float]]) -> str:
    """Return one line: medians over the rounds, ratios taken within each round."""
    seconds, growth, held, surplus = (statistics.median(column) for column in zip(*runs, strict=True))
    pairs = list(zip(runs, ours, strict=True))
    slower = [mine[0] / other[0] for mine, other in pairs]
    larger = statistics.median(mine[1] / other[1] for mine, other in pairs)
    beside = statistics.median((mine[1] - mine[2]) / max(1.0, other[1] - other[2]) for mine, other in pairs)
    spread = f"{statistics.median(slower):.1f} ({min(slower):.1f}–{max(slower):.1f})"
    memory = f"{growth:.0f} MiB | {larger:.1f} | {growth - held:.0f} MiB | {beside:.1f}"
    return f"| {method} | {surplus:+.0f} | {seconds:.3f} s | {spread} | {memory} |"


def step(repeats: int) -> str:
    """Time the selection of a budgeted optimizer step on one thread: 430,200 scores, 5 % of them candidates."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    scores = [torch.rand(shape) for shape in ((300, 784), (300, 300), (350, 300))]
    among = [torch.rand_like(score) < 0.05 for score in scores]
    half = sum(int(mask.sum()) for mask in among) // 2

    def usual() -> list[Tensor]:
        threshold = torch.cat([score[mask] for score, mask in zip(scores, among, strict=True)]).topk(half).values[-1]
        return [(score >= threshold) & mask for score, mask in zip(scores, among, strict=True)]

    times: list[list[float]] = [[], []]
    for _ in range(repeats):
        for found, run in zip(times, (lambda: keep.exactly(scores, half, among=among), usual), strict=True):
            start = time.perf_counter()
            run()
            found.append(time.perf_counter() - start)
    ratio = statistics.median(theirs / ours for ours, theirs in zip(*times, strict=True))
    ours, theirs = (1e3 * statistics.median(found) for found in times)
    return f"keep.exactly {ours:.2f} ms; gathering the candidates and topk {theirs:.2f} ms; ratio {ratio:.2f}"


def main() -> None:
    """Print the report, or with --measure the figures of one method."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round at one million weights: does it run?")
    parser.add_argument("--measure", choices=METHODS, help=argparse.SUPPRESS)
    parser.add_argument("--elements", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure(options.measure, options.elements)
        return
    print("Time of one call in a fresh process, and growth of its peak resident memory during the call (Linux, VmHWM),")
    print(
        "over a process that already holds the weights (float32). Extra memory counts all that the call makes, results"
    )
    print(
        "included; “beside the masks” leaves the masks it returns out (bool: 1 byte a weight; torch: float, 4 bytes)."
    )
    for elements, rounds in [(1_000_000, 1)] if options.quick else [(10_000_000, 5), (100_000_000, 3)]:
        print(f"\n**{elements // 10**6} million weights**, {torch.get_num_threads()} threads, median of {rounds}:\n")
        print(table(elements, rounds), flush=True)
    print(f"\n**One optimizer step** (430,200 scores, 5 % candidates, 1 thread, median of 200): {step(200)}.")


if __name__ == "__main__":
    main()
