"""Write recipes/fashion_mnist from what was measured: the settings that were chosen, and the figures in the header."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap

from benchmarks._methods import LAMBDA, Method, Settings
from prunus import recipes
from prunus.tasks import vision

SHOWN_AT = 0.95


def text_of(name: str, method: Method, settings: Settings, measured: str, figures: Sequence[str], date: str) -> str:
    """Return the whole file: how to use it, what it does, what was measured and when, and the policies."""
    plan = method.build(vision.lenet_300_100(), SHOWN_AT, **settings)
    lines = [f"LeNet-300-100 on Fashion-MNIST: {method.label}, here to {100 * SHOWN_AT:g} % zeros.", ""]
    lines += [f"  {line}".rstrip() for line in use_of(name, method, settings).splitlines()] + [""]
    lines += wrap(f"What it does: {method.does}", 118) + wrap(f"Measured by: {measured}", 118)
    lines += [
        f"Date: {date}. Result: accuracy by sparsity:",
        *(f"  {'; '.join(figures[place : place + 3])}" for place in range(0, len(figures), 3)),
    ]
    header = "\n".join(f"# {line}".rstrip() for line in lines)
    return f"{header}\n{recipes.dump(list(plan.policies))}"


def use_of(name: str, method: Method, settings: Settings) -> str:
    """Return the code that trains with the recipe: weights and biases, optimizer, scheduler."""
    told = {"lamda": LAMBDA if "density" in settings else settings.get("ratio", 0.0) * settings["lr"], **settings}
    groups = ""
    if "weights" in method.optimizer:
        groups = "weights = [p for p in model.parameters() if p.dim() > 1]\n"
        groups += "biases = [p for p in model.parameters() if p.dim() <= 1]\n"
    return (
        groups
        + f"{method.before}optimizer = {method.optimizer}\n".format(**told)
        + f'scheduler = CompressionScheduler(model, prunus.recipes.load("recipes/fashion_mnist/{name}.yaml"),\n'
        + "                                 optimizer=optimizer, steps_per_epoch=len(loader))"
    )
