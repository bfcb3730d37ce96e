"""A Bregman step beside fused Adam and SGD: side by side on the CPU, every implementation, memory and compile time.

Claims: AdaBreg with RegL1 takes at most 1.15 times as long as torch's fused Adam (it has to move 8/7 of the bytes),
with group regularizers 1.5 times; it is at least 4 times as fast as the plain per-tensor form; reading the survivors
adds at most 3 %; whatever has to be compiled is compiled within 10 seconds, once for all shapes.
"""

from __future__ import annotations

import argparse
import gc
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import Parameter

from prunus import _native
from prunus.optim import AdaBreg, LinBreg, ProxSGD
from prunus.regularizers import GroupLasso, RegL1, RegL1L2, RegL1Pos, RegNone, Regularizer
from prunus.structures import Channel, Column, Filter, Kernel

Shape = tuple[int, ...]
Step = Callable[[], object]
Make = Callable[[list[Parameter]], Step]
BUILDS = 4


def bottleneck(inner: int, into: int, first: bool) -> list[Shape]:
    """Convolutions of one block of ResNet-50, with the shortcut's where there is one."""
    shapes: list[Shape] = [(inner, into, 1, 1), (inner, inner, 3, 3), (4 * inner, inner, 1, 1)]
    return shapes + ([(4 * inner, into, 1, 1)] if first else [])


def resnet50() -> list[Shape]:
    """The shapes of ResNet-50's 161 parameters: 25.6 million weights."""
    convolutions: list[Shape] = [(64, 3, 7, 7)]
    into = 64
    for inner, blocks in ((64, 3), (128, 4), (256, 6), (512, 3)):
        for block in range(blocks):
            convolutions += bottleneck(inner, into, block == 0)
            into = 4 * inner
    norms = [(shape[0],) for shape in convolutions for _ in ("weight", "bias")]
    return [*convolutions, *norms, (1000, 2048), (1000,)]


SETS: dict[str, list[Shape]] = {"40 matrices of 512×512": [(512, 512)] * 40, "ResNet-50's 161 shapes": resnet50()}


def parameters(shapes: Iterable[Shape]) -> list[Parameter]:
    """Return small random parameters with gradients."""
    params = [Parameter(torch.randn(shape) * 0.05) for shape in shapes]
    for p in params:
        p.grad = torch.randn_like(p)
    return params


def adabreg(reg: Regularizer, implementation: str = "fused", member: type = AdaBreg, **rule: float) -> Make:
    """Return what builds an optimizer with the regularizer on all that its structure takes, and steps it."""

    def make(params: list[Parameter]) -> Step:
        fits = [p for p in params if p.dim() > 1 and reg.structure.misfit(p.shape) is None]
        chosen = set(map(id, fits))
        rest = [p for p in params if id(p) not in chosen]
        groups = [{"params": fits, "reg": reg}, *([{"params": rest}] if rest else [])]
        return member(groups, implementation=implementation, **{"lr": 1e-3, **rule}).step

    return make


def counted(params: list[Parameter]) -> Step:
    """The fused step, and the number of survivors of every parameter after it."""
    optimizer = AdaBreg(params, reg=RegL1(0.01), implementation="fused")

    def step() -> int:
        optimizer.step()
        return sum(map(optimizer.survivors, params))

    return step


@torch.no_grad()
def textbook_step(params: list[Parameter], states: list[tuple[Tensor, Tensor, Tensor]], reg: Regularizer) -> None:
    """AdaBreg as the formula is usually written down: one tensor after the other, with temporaries."""
    for p, (v, m1, m2) in zip(params, states, strict=True):
        m1.mul_(0.9).add_(p.grad, alpha=0.1)
        m2.mul_(0.999).addcmul_(p.grad, p.grad, value=0.001)
        v.sub_(1e-3 * (m1 / 0.9) / ((m2 / 0.999).sqrt() + 1e-8))
        p.copy_(reg.prox(v, 1.0))


def textbook(params: list[Parameter]) -> Step:
    """Return the textbook's step."""
    states = [(torch.randn_like(p).detach(), torch.zeros_like(p), torch.zeros_like(p)) for p in params]
    return lambda: textbook_step(params, states, RegL1(0.01))


def of_torch(member: type, **rule: object) -> Make:
    """One of torch's optimizers."""
    return lambda params: member(params, lr=1e-3, **rule).step


ADAM, SGD = of_torch(torch.optim.Adam, fused=True), of_torch(torch.optim.SGD, fused=True)
HEAVY = of_torch(torch.optim.SGD, fused=True, momentum=0.9)
CONTENDERS: dict[str, tuple[Make, Make]] = {
    "Adam, foreach": (of_torch(torch.optim.Adam, foreach=True), ADAM),
    "AdaBreg, RegNone": (adabreg(RegNone()), ADAM),
    "AdaBreg, RegL1": (adabreg(RegL1(0.01)), ADAM),
    "AdaBreg, RegL1, survivors read": (counted, ADAM),
    "AdaBreg, RegL1Pos": (adabreg(RegL1Pos(0.01)), ADAM),
    "AdaBreg, RegL1L2 (rows)": (adabreg(RegL1L2(0.001)), ADAM),
    "AdaBreg, columns": (adabreg(GroupLasso(0.001, Column())), ADAM),
    "AdaBreg, filters": (adabreg(GroupLasso(0.001, Filter())), ADAM),
    "AdaBreg, channels": (adabreg(GroupLasso(0.001, Channel())), ADAM),
    "AdaBreg, kernels": (adabreg(GroupLasso(0.001, Kernel())), ADAM),
    "AdaBreg, RegL1, compiled": (adabreg(RegL1(0.01), "compiled"), ADAM),
    "AdaBreg, RegL1, foreach": (adabreg(RegL1(0.01), "foreach"), ADAM),
    "AdaBreg, RegL1, loop": (adabreg(RegL1(0.01), "loop"), ADAM),
    "AdaBreg, RegL1, textbook": (textbook, ADAM),
    "LinBreg, RegL1": (adabreg(RegL1(0.01), member=LinBreg), SGD),
    "LinBreg with momentum, RegL1": (adabreg(RegL1(0.01), member=LinBreg, momentum=0.9), HEAVY),
    "LinBreg, RegL1, foreach": (adabreg(RegL1(0.01), "foreach", LinBreg), SGD),
    "ProxSGD, RegL1": (adabreg(RegL1(0.01), member=ProxSGD), SGD),
    "ProxSGD, RegL1, foreach": (adabreg(RegL1(0.01), "foreach", ProxSGD), SGD),
}
BESIDE = {id(ADAM): "fused Adam", id(SGD): "fused SGD", id(HEAVY): "fused SGD, momentum"}
MATRICES, CONVOLUTIONS = {"AdaBreg, RegL1L2 (rows)", "AdaBreg, columns"}, {"AdaBreg, kernels", "AdaBreg, channels"}


def paired(shapes: list[Shape], ours: Make, theirs: Make, pairs: int, clock: Callable[[], float]) -> list[list[float]]:
    """Step both in turn, each its own parameters, first and second alternately; return the seconds of each.

    They are built anew four times, in alternate order: whose memory the system gives later may be a tenth faster.
    """
    seconds: list[list[float]] = [[], []]
    for build in range(BUILDS):
        steps: dict[int, Step] = {}
        for side in (0, 1) if build % 2 else (1, 0):
            steps[side] = (ours, theirs)[side](parameters(shapes))
        for pair in range(-2, max(1, pairs // BUILDS)):
            for side in (0, 1) if pair % 2 else (1, 0):
                start = clock()
                steps[side]()
                if pair >= 0:
                    seconds[side].append(clock() - start)
    return seconds


def table(shapes: list[Shape], names: Iterable[str], pairs: int, clock: Callable[[], float]) -> None:
    """Print one line for each contender, and what the plain forms take of the fused one's time."""
    print("| step | time | beside | median ratio | quartiles |\n|---|---|---|---|---|")
    ratios = {}
    for name in names:
        ours, theirs = paired(shapes, *CONTENDERS[name], pairs, clock)
        found = [one / other for one, other in zip(ours, theirs, strict=True)]
        low, ratios[name], high = statistics.quantiles(found, n=4)
        beside = BESIDE[id(CONTENDERS[name][1])]
        time_, base = 1e3 * statistics.median(ours), 1e3 * statistics.median(theirs)
        print(
            f"| {name} | {time_:.1f} ms | {beside} {base:.1f} ms | {ratios[name]:.2f} | {low:.2f} – {high:.2f} |",
            flush=True,
        )
        gc.collect()
    fused = ratios["AdaBreg, RegL1"]
    slower = [
        f"{name.split(', ')[-1]} {ratios[name] / fused:.1f}" for name in ratios if name.startswith("AdaBreg, RegL1, ")
    ]
    print(f"\nAdaBreg with RegL1, ratio of the others to fused: {', '.join(slower)}.\n")


def counting(shapes: list[Shape], pairs: int, clock: Callable[[], float]) -> str:
    """Return what reading the survivors adds to a fused step, measured against the same step without."""
    ours, theirs = paired(shapes, counted, adabreg(RegL1(0.01)), pairs, clock)
    return f"{statistics.median(one / other for one, other in zip(ours, theirs, strict=True)):.3f}"


def alone(implementation: str, what: str) -> float:
    """Return the figure that a fresh process prints, with empty caches of compiled code."""
    with tempfile.TemporaryDirectory() as cache:
        fresh = {"PRUNUS_CACHE": cache, "TORCHINDUCTOR_CACHE_DIR": cache}
        command = [sys.executable, __file__, "--alone", implementation, what]
        ran = subprocess.run(command, env={**os.environ, **fresh}, check=True, stdout=subprocess.PIPE, text=True)
    return float(ran.stdout.split()[-1])


def measure_alone(implementation: str, what: str) -> None:
    """Print the seconds of setup and two steps beyond two later ones, or the MiB that a later step needs beside all."""
    params = parameters(resnet50())
    start = time.perf_counter()
    step = adabreg(RegL1(0.01), implementation)(params)
    step()
    step()
    first = time.perf_counter() - start
    step()
    start = time.perf_counter()
    step()
    step()
    if what == "compile":
        print(first - (time.perf_counter() - start))
        return
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # resets VmHWM to VmRSS
    before = resident("VmRSS")
    step()
    print(resident("VmHWM") - before)


def resident(field: str) -> float:
    """Return a memory field of this process in MiB: VmRSS now, or VmHWM, the highest since it was last reset."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{field}:"))


def main() -> None:
    """Print the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few small tensors, nothing compiled: does it run?")
    parser.add_argument("--alone", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.alone:
        measure_alone(*options.alone)
        return
    if not _native.available():
        print(f"No native kernels here: {_native.why_not()}.")
        return
    pairs = 5 if options.quick else 40
    most = torch.get_num_threads()
    sets = {"small": [(8, 8), (4, 4, 3, 3)]} if options.quick else SETS
    print("A ratio is the median over pairs of steps taken in turn in one process, each of all parameters, over four")
    print("builds of both in alternate order.")
    for name, shapes in sets.items():
        odd = MATRICES if any(len(shape) > 2 for shape in shapes) else CONVOLUTIONS
        names = [one for one in CONTENDERS if one not in odd and not (options.quick and "compiled" in one)]
        for threads in sorted({most, 1}, reverse=True):
            torch.set_num_threads(threads)
            clock, kind = (time.thread_time, "processor") if threads == 1 else (time.perf_counter, "wall clock")
            load = f"{os.getloadavg()[0]:.1f} runnable processes on {os.cpu_count()} cores at its start"
            print(f"\n**{name}**, {threads} threads, {kind} time, {pairs} pairs, {load}:\n")
            table(shapes, names, pairs, clock)
            print(f"Step with reading every survivor ÷ without: {counting(shapes, pairs, clock)}.")
    if not options.quick:
        print("\n**ResNet-50's shapes, AdaBreg with RegL1**, each in a fresh process with empty caches:\n")
        print("| implementation | compiling | extra memory of a step |\n|---|---|---|")
        for way in ("fused", "compiled", "foreach", "loop"):
            print(f"| {way} | {alone(way, 'compile'):.1f} s | {alone(way, 'memory'):.1f} MiB |", flush=True)


if __name__ == "__main__":
    main()
