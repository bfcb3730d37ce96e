"""Slow references for the regularizers: float64 loops, written from the formulas; prox by numerical search."""

from __future__ import annotations

from math import sqrt

import torch

from tests.twins.structures import PLACES

GROUPS = {"l1": "element", "l1_pos": "element", "soft_bernoulli": "element", "l1_l2": "row", "l1_l2_conv": "kernel"}
NONNEGATIVE = {"l1_pos"}
LEAVES_VECTORS_ALONE = {"l1_l2", "l1_l2_conv"}
NAMES = {*GROUPS, "group_lasso", "none"}


def groups(settings, shape):
    """Return the charged groups as lists of flat indices."""
    name = settings["name"]
    if name == "none" or (name in LEAVES_VECTORS_ALONE and len(shape) < 2):
        return []
    structure = dict(settings.get("structure") or {"name": GROUPS[name]})
    return PLACES[structure.pop("name")](tuple(shape), **structure)


def value(settings, x):
    """Sum of lamda * sqrt(n) * length over the groups."""
    flat = x.double().flatten().tolist()
    return sum(settings["lamda"] * sqrt(len(g)) * sqrt(sum(flat[i] ** 2 for i in g)) for g in groups(settings, x.shape))


def prox(settings, x, delta):
    """Minimise charge + distance² / (2 delta) group by group; along a group's own direction, where the minimum lies."""
    flat = x.double().flatten().tolist()
    out = list(flat)
    for g in groups(settings, x.shape):
        length = sqrt(sum(flat[i] ** 2 for i in g))
        slope = settings["lamda"] * sqrt(len(g))
        pull = flat[g[0]] if settings["name"] in NONNEGATIVE else length
        best = minimiser(lambda r, s=slope, p=pull: s * r + (r - p) ** 2 / (2 * delta), 0.0, abs(pull) + 1.0)
        for i in g:
            out[i] = best if settings["name"] in NONNEGATIVE else flat[i] * best / length if length else 0.0
    return torch.tensor(out, dtype=torch.float64).reshape(x.shape)


def dual_projection(settings, x, delta):
    """Project onto where the conjugate of delta * J is finite: a ball of radius delta * lamda * sqrt(n) a group."""
    flat = x.double().flatten().tolist()
    out = [0.0] * len(flat)
    for g in groups(settings, x.shape):
        radius = delta * settings["lamda"] * sqrt(len(g))
        length = sqrt(sum(flat[i] ** 2 for i in g))
        for i in g:
            onto_ball = flat[i] * min(1.0, radius / length) if length else 0.0
            out[i] = min(flat[i], radius) if settings["name"] in NONNEGATIVE else onto_ball
    return torch.tensor(out, dtype=torch.float64).reshape(x.shape)


def minimiser(function, low, high):
    """Find where a convex function of one number is least, by golden section."""
    golden = (sqrt(5) - 1) / 2
    for _ in range(80):
        left, right = high - golden * (high - low), low + golden * (high - low)
        if function(left) <= function(right):
            high = right
        else:
            low = left
    return (low + high) / 2
