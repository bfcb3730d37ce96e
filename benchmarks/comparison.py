"""Accuracy against sparsity, 80 to 99.5 %: LeNet-300-100 on Fashion-MNIST by every method, five seeds.

In two stages. First every method tries its candidate settings at 98 % with three seeds and takes those with the best
mean accuracy on the last 5,000 training images, which no run trains on. Then the chosen settings run with five other
seeds at every sparsity and are scored on the test images. All runs share network, initial weights and order of images
(per seed), 8 epochs, batch 256, bf16 autocast with float32 weights. Where a method has no target but a strength
(torchao's ProxLasso), the strength for each sparsity is interpolated from the first stage.

Each result is one line of results/comparison.jsonl, written as it comes: a run that was killed goes on where it was,
and a run with nothing left to do prints the table, draws the picture and writes the recipes of recipes/fashion_mnist.
Fashion-MNIST is read from PRUNUS_DATA or from Debian's dataset-fashion-mnist; without it nothing is run.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from datetime import datetime, timezone
from functools import cache
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))  # the folder above, for the helpers beside this script

from benchmarks._methods import EXTRAS, METHODS, Method, Settings, runnable
from benchmarks._recipes import SHOWN_AT, text_of
from benchmarks._training import RESULTS, Course, append, fit, parts, read, score
from prunus.tasks import vision

SPARSITIES = (0.8, 0.9, 0.95, 0.98, 0.99, 0.995)
TRIED_AT = (0.98,)
TRIED_SEEDS = (100, 101, 102)
SEEDS = range(5)
EPOCHS, BATCH = 8, 256
FILE = RESULTS / "comparison.jsonl"
RECIPES = Path(__file__).parents[1] / "recipes/fashion_mnist"
PICTURE = Path(__file__).parents[1] / "docs/images/comparison.png"
Row = dict[str, Any]
load = cache(parts)


class Job(NamedTuple):
    """One run: a method with its settings at a sparsity, and its seed."""

    method: str
    target: float
    seed: int
    settings: Settings

    def done(self, rows: Sequence[Row]) -> bool:
        """Whether the results hold this run already."""
        return any(self == Job(row["method"], row["target"], row["seed"], row["settings"]) for row in rows)


def run(job: Job, epochs: int = EPOCHS, images: int | None = None) -> Row:
    """Train once on one thread and score the result."""
    torch.set_num_threads(1)
    test, held = load(images)
    model, start = vision.build("lenet_300_100", job.seed), time.perf_counter()
    torch.manual_seed(job.seed)
    plan = METHODS[job.method].build(model, job.target, **job.settings)
    fit(model, test, plan, Course(epochs, BATCH, job.seed))
    seconds = round(time.perf_counter() - start, 1)
    told = {"date": f"{datetime.now(timezone.utc):%Y-%m-%d}", "prunus": version("prunus"), "source": test.source}
    return {**job._asdict(), **score(model, test, held), "seconds": seconds, **told}


def trials(methods: dict[str, Method]) -> list[Job]:
    """Return the runs of the first stage; without a target, or with a strength in its place, one is enough a seed."""
    jobs = []
    for seed, (name, method) in product(TRIED_SEEDS, methods.items()):
        targets = (0.0,) if method.strength or name == "dense" else TRIED_AT
        jobs += [Job(name, target, seed, tried) for tried in method.candidates() for target in targets]
    return jobs


def finals(methods: dict[str, Method], rows: Sequence[Row]) -> list[Job]:
    """Return the runs of the second stage, a seed after the other, so that a part of them is a fair table too."""
    jobs = []
    for seed, (name, method) in product(SEEDS, methods.items()):
        for target in (0.0,) if name == "dense" else SPARSITIES:
            settings = settings_of(name, method, target, rows)
            jobs += [] if settings is None else [Job(name, target, seed, settings)]
    return sorted(jobs, key=lambda job: job.method in EXTRAS)


def settings_of(name: str, method: Method, target: float, rows: Sequence[Row]) -> Settings | None:
    """Return the settings with the best mean held-out accuracy in the first stage, None before it has run."""
    stage = [row for row in rows if row["seed"] in TRIED_SEEDS and row["target"] in (0.0, *TRIED_AT)]
    tried = [row for row in stage if row["method"] == name]
    found = []
    for settings in method.candidates() if method.strength is None else strengths(method, tried, target):
        marks = held_of(method, settings, tried)
        found += [(statistics.mean(marks), settings)] if marks else []
    return max(found, key=lambda pair: pair[0])[1] if found else None


def held_of(method: Method, settings: Settings, tried: Sequence[Row]) -> list[float]:
    """Return the held-out accuracies of a candidate, interpolated where a strength stands in for the target."""
    if method.strength is None:
        return [row["held"] for row in tried if row["settings"] == settings]
    curve = curve_of(method, settings, tried)
    return [at(math.log(1 - target), [(x, held) for x, _, held in curve]) for target in TRIED_AT] if curve else []


def strengths(method: Method, tried: Sequence[Row], target: float) -> Iterator[Settings]:
    """Yield each candidate once, with the strength at which the first stage would have met the target."""
    assert method.strength is not None
    first = method.choices[method.strength][0]
    for settings in method.candidates():
        if settings[method.strength] == first and (curve := curve_of(method, settings, tried)):
            strength = math.exp(at(math.log(1 - target), [(x, y) for x, y, _ in curve]))
            yield {**settings, method.strength: round(strength, 5)}


def curve_of(method: Method, settings: Settings, tried: Sequence[Row]) -> list[tuple[float, float, float]]:
    """Return (log density, log strength, held-out accuracy) by strength, each a mean over seeds, sorted by density."""
    same = [row for row in tried if {**row["settings"], method.strength: 0} == {**settings, method.strength: 0}]
    by_strength: dict[float, list[Row]] = {}
    for row in same:
        if 0 < row["sparsity"] < 100:
            by_strength.setdefault(row["settings"][method.strength], []).append(row)
    points = []
    for strength, rows in by_strength.items():
        density = statistics.mean(1 - row["sparsity"] / 100 for row in rows)
        points.append((math.log(density), math.log(strength), statistics.mean(row["held"] for row in rows)))
    return sorted(points) if len(points) > 1 else []


def at(x: float, points: Sequence[tuple[float, float]]) -> float:
    """Interpolate linearly in sorted points, and go on along the last piece outside of them."""
    right = next((place for place in range(1, len(points) - 1) if points[place][0] >= x), len(points) - 1)
    (x0, y0), (x1, y1) = points[right - 1], points[right]
    return y0 + (y1 - y0) * (x - x0) / (x1 - x0)


def work(jobs: Sequence[Job], workers: int) -> None:
    """Run what the results do not hold yet, and write each result as it comes."""
    todo = [job for job in jobs if not job.done(read(FILE))]
    with ProcessPoolExecutor(workers) as pool:
        for place, future in enumerate(as_completed([pool.submit(run, job) for job in todo]), 1):
            row = future.result()
            append(FILE, row)
            told = f"{row['method']} {row['target']} {row['settings']}: {row['test']:.2f} at {row['sparsity']:.2f} %"
            print(f"{place}/{len(todo)} {told}, {row['seconds']} s", file=sys.stderr, flush=True)


def table(rows: Sequence[Row]) -> str:
    """Return the table of the second stage: test accuracy in %, mean ± standard deviation, and what was chosen."""
    lines = ["| method | " + " | ".join(f"{100 * target:g} %" for target in SPARSITIES) + " | chosen |"]
    lines.append("|---|" + "---|" * (len(SPARSITIES) + 1))
    for name, method in METHODS.items():
        cells = [cell(of(rows, name, target), target) for target in SPARSITIES]
        settings = settings_of(name, method, SPARSITIES[0], rows) or {}
        said = ", ".join(f"{key} {value}" for key, value in settings.items() if key != method.strength)
        lines.append(f"| {method.label} | " + " | ".join(cells) + f" | {said} |")
    return "\n".join(lines)


def of(rows: Sequence[Row], name: str, target: float) -> list[Row]:
    """Return the final runs of a method, as chosen, at a sparsity; dense ones stand at every sparsity."""
    wanted = 0.0 if name == "dense" else target
    settings = settings_of(name, METHODS[name], wanted, rows)
    runs = [row for row in rows if (row["method"], row["target"]) == (name, wanted) and row["seed"] in SEEDS]
    return [row for row in runs if row["settings"] == settings]


def cell(found: Sequence[Row], target: float) -> str:
    """Return mean ± spread, the number of seeds when some are missing, and the sparsity where it is not as asked."""
    if not found:
        return "–"
    learned = [row for row in found if row["test"] > GUESSING]
    if len(learned) < len(found):
        return (
            f"{cell(learned, target)}, " if learned else ""
        ) + f"{len(found) - len(learned)} of {len(found)} diverged"
    marks, reached = [row["test"] for row in found], statistics.mean(row["sparsity"] for row in found)
    said = f"{statistics.mean(marks):.2f} ± {statistics.stdev(marks) if len(marks) > 1 else 0.0:.2f}"
    said += f" (n={len(found)})" if len(found) < len(SEEDS) else ""
    return said + (f" at {reached:.2f} %" if reached and abs(reached - 100 * target) >= 0.01 else "")


def write_recipes(rows: Sequence[Row], folder: Path = RECIPES) -> None:
    """Write a recipe for each method of prunus that has been measured at every sparsity, by every seed so far."""
    for name, method in METHODS.items():
        found = {target: of(rows, name, target) for target in SPARSITIES}
        settings = settings_of(name, method, SHOWN_AT, rows)
        if method.does and settings is not None and all(found.values()):
            figures = [f"{100 * target:g} %: {cell(same, target)}" for target, same in found.items()]
            last = max(same[-1]["date"] for same in found.values())
            date = f"{last}. prunus {found[SHOWN_AT][-1]['prunus']}"
            measured = MEASURED.format(dense=cell(of(rows, "dense", 0.0), 0.0))
            text = text_of(name, method, settings, measured, figures, date)
            (folder / f"{name}.yaml").write_text(text, encoding="utf-8")


def draw(rows: Sequence[Row], path: Path) -> None:
    """Draw accuracy against the sparsity reached, with bars of one standard deviation, and save a PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 5), dpi=150, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for (name, method), colour in zip(METHODS.items(), COLOURS, strict=False):
        runs = ([row for row in of(rows, name, target) if row["test"] > GUESSING] for target in SPARSITIES)
        points = [found for found in runs if found]
        marks = [[row["test"] for row in found] for found in points]
        means, spreads = [*map(statistics.mean, marks)], [statistics.stdev(m) if len(m) > 1 else 0.0 for m in marks]
        if not points:
            continue
        if name == "dense":
            axes.axhline(means[0], color=colour, linestyle=":", label=method.label)
            continue
        alive = [100 - statistics.mean(row["sparsity"] for row in found) for found in points]
        own = name.startswith(("adabreg", "linbreg"))
        axes.errorbar(
            alive, means, spreads, color=colour, marker="o" if own else "s", markersize=4, capsize=2,
            linewidth=1.6 if own else 1.1, linestyle="-" if own else "--", label=method.label,
        )  # fmt: skip
    axes.set_xscale("log")
    axes.invert_xaxis()
    axes.set_xticks([100 - 100 * s for s in SPARSITIES], [f"{100 * s:g} %" for s in SPARSITIES])
    axes.minorticks_off()
    axes.set_ylim(76, 91)  # what lies lower, pruned once without a ramp, is in the table
    axes.set(xlabel="zeros among the weights", ylabel="test accuracy, %", title=TITLE)
    axes.grid(alpha=0.25)
    axes.legend(fontsize=8, loc="lower left")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


GUESSING = 15.0
"""A run of ten classes that ends no more accurate than this has diverged; it is counted, not averaged."""
MEASURED = (
    f"python benchmarks/comparison.py (55,000 images, {EPOCHS} epochs, batch {BATCH}, {len(SEEDS)} seeds; test "
    f"accuracy in %, mean ± standard deviation; settings chosen on 5,000 held-out images at 98 %; dense {{dense}})."
)
TITLE = f"LeNet-300-100 on Fashion-MNIST, {EPOCHS} epochs, {len(SEEDS)} seeds (mean ± standard deviation)"
COLOURS = (
    "#6b7280", "#c26a00", "#9f1d1d", "#82aaff", "#2458c5", "#ff7ab8", "#a3195b", "#4d7c0f", "#0f7b6c", "#d6b25d",
    "#6d4bc3",
)  # fmt: skip


def main() -> None:
    """Do what is left to do, print the table, draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=2, help="processes, one thread each")
    parser.add_argument("--report", action="store_true", help="run nothing: the table of what there is")
    parser.add_argument("--quick", action="store_true", help="every method once on few images: does it run?")
    options = parser.parse_args()
    if options.quick:
        for name, method in runnable().items():
            print(run(Job(name, 0.95, 0, next(method.candidates())), epochs=2, images=2048))
        return
    source = load()[0].source
    if not source.startswith("Fashion-MNIST"):
        raise SystemExit(f"the comparison is made on Fashion-MNIST; found {source}")
    if not options.report:
        methods = runnable()
        work(trials(methods), options.workers)
        work(finals(methods, read(FILE)), options.workers)
    rows = read(FILE)
    draw(rows, PICTURE)
    write_recipes(rows)
    print(f"Fashion-MNIST, 55,000 images to train on, {EPOCHS} epochs, batch {BATCH}, seeds {SEEDS[0]} to {SEEDS[-1]}.")
    print("Test accuracy in %, mean ± standard deviation; “at” gives the sparsity where it is not the asked one.")
    print(f"Settings were chosen on 5,000 held-out images at 98 %, {len(TRIED_SEEDS)} other seeds.\n")
    print(table(rows))
    print("\n![Accuracy against sparsity](../docs/images/comparison.png)")


if __name__ == "__main__":
    main()
