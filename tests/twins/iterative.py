"""Prune-retrain cycles on one vector of weights, written out as loops over plain numbers.

The loss is ½ Σ c_i (w_i - a_i)², so that the gradient is c_i (w_i - a_i); the optimizer is SGD with momentum, whose
learning rate drops to a tenth after ``drop`` steps of the schedule.
"""

from __future__ import annotations


def levels(initial, final, iterations):
    """The sparsity of each cycle, multiplied up step by step."""
    factor = (final / initial) ** (1.0 / iterations)
    found = [initial * factor]
    while len(found) < iterations:
        found.append(found[-1] * factor)
    return found


def prune(weights, alive, sparsity):
    """Kill the smallest living weights, the last of equals first, until the asked count is dead; never fewer."""
    asked = int(sparsity * len(weights) + 1e-9)
    alive = list(alive)
    while alive.count(False) < asked:
        smallest = min(abs(w) for w, lives in zip(weights, alive, strict=True) if lives)
        victim = max(i for i, w in enumerate(weights) if alive[i] and abs(w) == smallest)
        alive[victim] = False
    return alive


def descend(weights, moments, alive, clock, steps, *, curvature, goal, lr, momentum, drop):
    """Return weights, moments and clock after ``steps`` masked steps."""
    weights, moments = list(weights), list(moments)
    for _ in range(steps):
        rate = lr if clock < drop else lr / 10
        for i in range(len(weights)):
            gradient = curvature[i] * (weights[i] - goal[i])
            moments[i] = momentum * moments[i] + gradient
            weights[i] = weights[i] - rate * moments[i] if alive[i] else 0.0
        clock += 1
    return weights, moments, clock


def cycles(start, sparsities, rewind, *, point, steps, **problem):
    """Train ``point`` steps, remember, train on; then in each cycle prune, rewind and retrain. Yield the weights."""
    alive = [True] * len(start)
    state = descend(start, [0.0] * len(start), alive, 0, point, **problem)
    early = state
    state = descend(*state[:2], alive, state[2], steps, **problem)
    for sparsity in sparsities:
        weights, moments, clock = state
        alive = prune(weights, alive, sparsity)
        if rewind == "weights":
            weights, moments, clock = early
        if rewind == "lr":
            clock = early[2]
        weights = [w if lives else 0.0 for w, lives in zip(weights, alive, strict=True)]
        state = descend(weights, moments, alive, clock, steps, **problem)
        yield state[0]
