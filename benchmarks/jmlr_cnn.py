"""The Bregman paper's Fashion-MNIST network at 98 % zeros: how accurate in how few epochs?

Two 5x5 convolutions of 64, linear 128 and 10 (236,352 weights). The paper (JMLR 23(192), 2022, table 1, 100 epochs):
dense 92.1 %, AdaBreg 90.5 % with 2.3 % of the weights, LinBreg 89.2 % with 1.9 %. Here: 55,000 images, no augmentation
unless --flip or --shift say so, batch 128, a cosine to zero, bf16 autocast in channels-last, float32 weights; the last
epoch is scored, none is picked. The policies are those of recipes/fashion_mnist/jmlr_cnn_*.yaml.

Every epoch leaves a checkpoint and every run a line in results/jmlr_cnn.jsonl: start it again and it goes on.
"""

from __future__ import annotations

import argparse
import re
import statistics
import sys
import time
from collections.abc import Callable
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[1]))  # the folder above, for the helpers beside this script

from benchmarks._methods import split
from benchmarks._training import RESULTS, Course, Plan, append, fit, parts, read, score
from prunus import recipes
from prunus.actions import Steer
from prunus.optim import AdaBreg
from prunus.policy import Policy
from prunus.regularizers import RegL1
from prunus.steering import SparsityBudget
from prunus.tasks import vision

ROOT = Path(__file__).parents[1]
FILE = RESULTS / "jmlr_cnn.jsonl"
FOLDER = ROOT / "recipes/fashion_mnist"
RATIO = 3.0
"""λ in learning rates."""
KEYS = ("method", "epochs", "lr", "rise", "flip", "shift", "smoothing")


def adabreg(model: nn.Module, lr: float) -> torch.optim.Optimizer:
    """AdaBreg on the weights, λ small at first."""
    weights, biases = split(model)
    return AdaBreg([{"params": weights, "reg": RegL1(RATIO * lr)}, {"params": biases}], lr=lr)


def adam(model: nn.Module, lr: float) -> torch.optim.Optimizer:
    """Adam, for magnitude pruning."""
    return torch.optim.Adam(model.parameters(), lr, fused=True)


METHODS: dict[str, Callable[[nn.Module, float], torch.optim.Optimizer]] = {"adabreg_budget": adabreg, "gradual": adam}


def planned(method: str, rise: float) -> list[Policy]:
    """Return the policies of the recipe, with another rise of λ."""
    policies = list(recipes.load(FOLDER / f"jmlr_cnn_{method}.yaml"))
    for policy in policies:
        if isinstance(policy.action, Steer) and isinstance(policy.action.steering, SparsityBudget):
            policy.action.steering.rise = rise
    return policies


def run(method: str, course: Course, lr: float, rise: float) -> dict[str, Any]:
    """Train once, or go on with a run that was killed, and score it."""
    torch.set_num_threads(1)
    (test, held), start = parts(), time.perf_counter()
    model = vision.build("bregman_cnn", course.seed).to(memory_format=torch.channels_last)
    setting = {"method": method, "lr": lr, "rise": rise, **vars(course)}
    keep = ROOT / "out/jmlr_cnn" / ("-".join(map(str, setting.values())) + ".ckpt")
    keep.parent.mkdir(parents=True, exist_ok=True)
    fit(model, test, Plan(METHODS[method](model, lr), planned(method, rise)), course, keep)
    seconds, day = round(time.perf_counter() - start), f"{datetime.now(timezone.utc):%Y-%m-%d}"
    about = {"seconds": seconds, "date": day, "prunus": version("prunus"), "source": test.source}
    return {**setting, **score(model, test, held), **about}


def table(rows: list[dict[str, Any]]) -> str:
    """Return one line for each setting that has run, best first."""
    best = sorted(settings_of(rows).items(), key=lambda item: -statistics.mean(row["test"] for row in item[1]))
    lines = ["| " + " | ".join([*KEYS, "seeds", "test accuracy, %", "held out, %", "weights left, %"]) + " |"]
    lines.append("|---" * (len(KEYS) + 4) + "|")
    for setting, same in best:
        marks = [told([row[key] for row in same]) for key in ("test", "held")]
        left = 100 - statistics.mean(row["sparsity"] for row in same)
        lines.append("| " + " | ".join([*map(str, setting), str(len(same)), *marks, f"{left:.3f}"]) + " |")
    return "\n".join(lines)


def settings_of(rows: list[dict[str, Any]]) -> dict[tuple[Any, ...], list[dict[str, Any]]]:
    """Sort the runs by their settings, the seed aside."""
    found: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(tuple(row[key] for key in KEYS), []).append(row)
    return found


def stamp(rows: list[dict[str, Any]], folder: Path = FOLDER) -> None:
    """Write into each header what came out: of the settings with the most seeds, the best on the held-out images."""
    for method in METHODS:
        settings = settings_of([row for row in rows if row["method"] == method])
        if settings:
            same = max(settings.values(), key=lambda rows: (len(rows), statistics.mean(row["held"] for row in rows)))
            path = folder / f"jmlr_cnn_{method}.yaml"
            text = re.sub(r"# Date: .*?(?=\nversion)", said(same), path.read_text(encoding="utf-8"), flags=re.DOTALL)
            text = re.sub(r"RegL1\([^)]*\)", f"RegL1({RATIO * same[0]['lr']:g})", text)
            text = re.sub(r"lr=[^)]*\)", f"lr={same[0]['lr']:g})", text)
            text = re.sub(r"rise: [^,}]*", f"rise: {same[0]['rise']:g}", text)
            path.write_text(text, encoding="utf-8")


def said(same: list[dict[str, Any]]) -> str:
    """Return the last lines of a header: what came out, when, and how it was trained."""
    row, (test, held) = same[-1], (told([row[key] for row in same]) for key in ("test", "held"))
    trained = f"{row['epochs']} epochs, lr {row['lr']:g}, seeds {', '.join(str(row['seed']) for row in same)}"
    changed = [f"{key} {row[key]}" for key in ("flip", "shift", "smoothing") if row[key]]
    left = 100 - statistics.mean(row["sparsity"] for row in same)
    return (
        f"# Date: {row['date']}. prunus {row['prunus']}. Result: {test} % with {left:.2f} % of the weights\n"
        f"#   (test images; {', '.join([trained, *changed])}; on the held-out images {held} %).\n"
        "#   The paper, 100 epochs: AdaBreg 90.5 % with 2.3 % of the weights, LinBreg 89.2 % with 1.9 %, dense 92.1 %."
    )


def told(values: list[float]) -> str:
    """Mean and, of several figures, spread."""
    return f"{statistics.mean(values):.2f}" + (f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else "")


def main() -> None:
    """Run what is asked and not done yet, and print the table of everything that has run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", choices=METHODS, default="adabreg_budget")
    parser.add_argument("--epochs", type=int, default=32)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0], help="none: only print the table")
    parser.add_argument("--lr", type=float, default=5e-3)
    parser.add_argument("--rise", type=float, default=0.02, help="what λ gains a step, in learning rates")
    parser.add_argument("--flip", action="store_true", help="mirror half of the images")
    parser.add_argument("--shift", type=int, default=0, help="move images by up to so many pixels")
    parser.add_argument("--smoothing", type=float, default=0.0, help="of the labels")
    asked = parser.parse_args()
    for seed in asked.seeds:
        course = Course(asked.epochs, 128, seed, asked.flip, asked.shift, asked.smoothing)
        wanted = {"method": asked.method, "lr": asked.lr, "rise": asked.rise, **vars(course)}
        if not any(wanted.items() <= row.items() for row in read(FILE)):
            append(FILE, run(asked.method, course, asked.lr, asked.rise))
    stamp(read(FILE))
    print("55,000 images to train on, 98 % zeros asked; mean ± standard deviation over seeds; the last epoch counts.\n")
    print(table(read(FILE)))


if __name__ == "__main__":
    main()
