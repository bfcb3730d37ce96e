"""Slow references: a scan that copies the whole model for each cell, all ways to share a count, a pace in words."""

from __future__ import annotations

import copy
import itertools
import math
from fractions import Fraction

import torch


def scan(model, metric, names, levels, groups_of):
    """Copy the model for every cell, rank its groups (lists of flat indices) by summed size, zero the smallest."""
    found = {}
    for name, level in itertools.product(names, levels):
        other = copy.deepcopy(model)
        weight = dict(other.named_parameters())[name]
        flat = weight.detach().clone().reshape(-1)
        groups = groups_of(weight)
        order = sorted(range(len(groups)), key=lambda g: (-sum(abs(flat[i].item()) for i in groups[g]), g))
        pruned = int(Fraction(str(level)) * len(groups))
        for group in order[len(groups) - pruned :]:
            flat[groups[group]] = 0.0
        with torch.no_grad():
            weight.copy_(flat.view_as(weight))
        found[name, level] = pruned, metric(other)
    return found


def cost(counts, costs, count):
    """Interpolate one curve at a count."""
    for (a, x), (b, y) in itertools.pairwise(zip(counts, costs, strict=True)):
        if a <= count <= b:
            return x + (y - x) * (count - a) / (b - a)
    raise AssertionError("outside the curve")


def least_cost(curves, weights):
    """Try every combination of counts of single weights; return the least summed cost."""
    ranges = [range(counts[-1] + 1) for counts, _ in curves]
    return min(
        (
            sum(cost(*curve, count) for curve, count in zip(curves, choice, strict=True))
            for choice in itertools.product(*ranges)
            if sum(choice) == weights
        ),
        default=math.inf,
    )


def pace(metrics, *, budget, step, back_off=0.5, patience=0, mode="max", reference=None):
    """Return the progress at which each epoch begins; ``metrics`` has one value, or None, for each epoch."""
    sign = 1 if mode == "max" else -1
    path, progress, streak, best = [], 0.0, 0, -math.inf
    for epoch in range(len(metrics)):
        last = metrics[epoch - 1] if epoch else None
        if last is not None:
            value = sign * last
            best = best if math.isnan(value) else max(best, value)
            goal = best if reference is None else sign * reference
            if value >= goal - budget:
                streak = 0
                progress = min(1.0, progress + step)
            else:
                streak += 1
                step = step * back_off if streak == patience + 1 else step
        path.append(progress)
    return path
