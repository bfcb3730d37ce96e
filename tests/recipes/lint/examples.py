"""For every rule a recipe that breaks it, where, and one that does not: (bad, line:column, good, what lint is told)."""

from __future__ import annotations

from typing import Any

from torch import nn

HEAD = "version: 1\npolicies:\n"
PRUNE = "  - prune: {schedule: {linear: {final: 0.9}}%s}\n"
FILTERS = (
    "  - prune: {schedule: {one_shot: {final: %s}}, structure: filter, scope: per_layer, select: {types: [Conv2d]}}\n"
)
STEER = "  - steer: {steering: {feedback: {acceleration_factor: %s}}}\n"
RATE = "  - set_lr: {schedule: {linear: {final: 0, initial: 1}}}\n    window: {start: %s, end: %s}\n"
ADAPT = "  - adaptive: {action: {prune: {schedule: {linear: {final: 0.9}}}}, metric: a, budget: 0.1, step: %s}\n"


def network() -> nn.Module:
    model = nn.Sequential()
    model.add_module("conv", nn.Conv2d(1, 4, 3))
    model.add_module("flat", nn.Flatten())
    model.add_module("fc", nn.Linear(16, 5))
    return model


def window(place: str) -> str:
    return f"    window: {{{place}}}\n"


def within(start: int, end: int, final: float) -> str:
    return f"  - prune: {{schedule: {{one_shot: {{final: {final}}}}}}}\n{window(f'start: {start}, end: {end}')}"


MODEL = {"model": network()}
EXAMPLES: dict[str, tuple[str, str, str, dict[str, Any]]] = {
    "clash": (RATE % (0, 9) + RATE % (8, 10), "5:5", RATE % (0, 9) + RATE % (9, 12), {}),
    "does-not-fit": (
        PRUNE % ", structure: kernel",
        "3:58",
        PRUNE % ", structure: kernel, select: {types: [Conv2d]}",
        MODEL,
    ),
    "falling": (within(0, 3, 0.5) + within(3, 4, 0.4), "5:42", within(0, 3, 0.5) + within(3, 4, 0.6), {}),
    "idle-penalty": (
        "  - regularize: {regularizer: none}\n",
        "3:5",
        "  - regularize: {regularizer: {l1: {lamda: 1e-4}}}\n",
        {},
    ),
    "idle-rate": (
        "  - set_lr: {schedule: {one_shot: {final: 1}}}\n",
        "3:43",
        "  - set_lr: {schedule: {one_shot: {final: 0.5}}}\n",
        {},
    ),
    "idle-setting": (PRUNE % ", seed: 3", "3:53", PRUNE % ", seed: 3, criterion: random", {}),
    "idle-steering": (STEER % 0, "3:56", STEER % 0.1, {}),
    "last-skipped": (
        PRUNE % "" + window("end: 10, frequency: 2"),
        "4:34",
        PRUNE % "" + window("end: 9, frequency: 2"),
        {},
    ),
    "no-match": (PRUNE % ", select: {include: [fc.weigth]}", "3:66", PRUNE % ", select: {include: [fc]}", MODEL),
    "no-weights-left": (within(0, 2, 1.0), "3:42", within(0, 2, 0.99), {}),
    "no-zeros": (within(0, 2, 0.0), "3:42", within(0, 2, 0.1), {}),
    "nothing-to-move": ("  - rewire:\n", "3:5", within(0, 2, 0.5) + "  - rewire:\n", {}),
    "overlap": (within(0, 3, 0.5) + within(2, 4, 0.6), "5:5", within(0, 3, 0.5) + within(3, 4, 0.6), {}),
    "pattern-overlap": (
        PRUNE % ", select: {include: [fc, 'f*']}",
        "3:70",
        PRUNE % ", select: {include: [fc, conv]}",
        MODEL,
    ),
    "repeated": (
        "  - regularize: {regularizer: {l1: {lamda: 0.1}}}\n" * 2,
        "4:5",
        "  - regularize: {regularizer: {l1: {lamda: 0.1}}}\n" + PRUNE % "",
        {},
    ),
    "run-too-short": (within(30, 40, 0.5), "4:5", within(10, 20, 0.5), {"epochs": 20}),
    "single-firing": (PRUNE % "" + window("start: 3, end: 4"), "4:5", PRUNE % "" + window("start: 3, end: 5"), {}),
    "too-few-groups": (
        FILTERS % 0.2,
        "3:42",
        FILTERS % 0.3,
        MODEL,
    ),
    "too-slow": (ADAPT % 0.1 + window("end: 10"), "3:99", ADAPT % 0.1 + window("end: 11"), {}),
}
