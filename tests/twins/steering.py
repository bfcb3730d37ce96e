"""The sparsity budget and the quantile, written out as loops over plain numbers."""

from __future__ import annotations

import math


def budget_step(weights, duals, lamda, delta, target, sparsity, progress, step, *, ramp, room, until, period, back):
    """One call after the proximal step, on flat lists of floats; changes them in place."""
    total = len(weights)
    budget = total - math.floor(sparsity * total + 1e-9)
    free = room * 0.5 * (1 + math.cos(math.pi * progress / until)) if progress < until else 0.0
    cap = int(budget * (1.0 - free)) if (step + 1) % period == 0 else budget
    alive = [i for i in range(total) if weights[i] != 0.0]
    if len(alive) > cap:
        for i in sorted(alive, key=lambda i: (-abs(weights[i]), i))[cap:]:
            weights[i] = 0.0
            duals[i] = math.copysign(min(abs(duals[i]), back * lamda), duals[i])
    elif len(alive) < budget and progress >= max(ramp, until if room else 0.0):
        dead = [i for i in range(total) if weights[i] == 0.0]
        for i in sorted(dead, key=lambda i: (-abs(duals[i]), i))[: budget - len(alive)]:
            sign = -1.0 if duals[i] < 0 else 1.0
            duals[i] = sign * (lamda + max(1e-3 * lamda, 1e-6))
            weights[i] = delta * (duals[i] - sign * lamda)


def budget_of_groups(weights, duals, radii, total, budget, cap, closed, back, delta, one_sided=False):
    """One call after the proximal step, on one list of floats a group and its edge of the dead zone; in place."""
    alive = [g for g in range(total) if any(weights[g])]
    size = [math.sqrt(sum(x * x for x in weight) / len(weight)) for weight in weights]
    if len(alive) > cap:
        for g in sorted(alive, key=lambda g: (-size[g], g))[cap:]:
            long = math.hypot(*duals[g])
            weights[g] = [0.0 for _ in weights[g]]
            duals[g] = [x * min(1.0, back * radii[g] / long) if long else x for x in duals[g]]
    elif closed and len(alive) < budget:
        pull = [[max(x, 0.0) if one_sided else x for x in dual] for dual in duals]
        dead = sorted(set(range(total)) - set(alive), key=lambda g: (-math.hypot(*pull[g]) / radii[g], g))
        for g in dead[: budget - len(alive)]:
            way = pull[g] if any(pull[g]) else [1.0 for _ in pull[g]]
            length = radii[g] + max(1e-3 * radii[g], 1e-6)
            duals[g] = [x * length / math.hypot(*way) for x in way]
            weights[g] = [delta * x * (1 - radii[g] / length) for x in duals[g]]


def quantile_step(weights, duals, delta, sparsity):
    """Set λ to the largest dual that has to die, rebuild the weights in place, and return λ; no ties."""
    keep = len(duals) - math.floor(sparsity * len(duals) + 1e-9)
    sizes = sorted((abs(dual) for dual in duals), reverse=True)
    lamda = sizes[keep] if keep < len(sizes) else 0.0
    for i, dual in enumerate(duals):
        weights[i] = math.copysign(delta * max(abs(dual) - lamda, 0.0), dual)
    return lamda


def feedback_step(lamda, weights, target, acceleration, low, high):
    """Return λ for the next step: the published rule, read off the weights as they stand after this one."""
    zeros = 0
    for weight in weights:
        zeros += weight == 0.0
    sparsity = zeros / len(weights)
    if sparsity < target:
        lamda = lamda * (1.0 + acceleration * (target - sparsity))
    if sparsity > target:
        lamda = lamda / (1.0 + acceleration * (sparsity - target))
    return min(max(lamda, low), high)
