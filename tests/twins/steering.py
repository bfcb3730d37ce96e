"""The sparsity budget and the quantile for single weights, written out as loops over plain numbers."""

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


def quantile_step(weights, duals, delta, sparsity):
    """Set λ to the largest dual that has to die, rebuild the weights in place, and return λ; no ties."""
    keep = len(duals) - math.floor(sparsity * len(duals) + 1e-9)
    sizes = sorted((abs(dual) for dual in duals), reverse=True)
    lamda = sizes[keep] if keep < len(sizes) else 0.0
    for i, dual in enumerate(duals):
        weights[i] = math.copysign(delta * max(abs(dual) - lamda, 0.0), dual)
    return lamda
