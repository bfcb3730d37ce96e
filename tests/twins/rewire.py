"""Rewiring by sorting Python lists: slow, obvious."""

from __future__ import annotations

import math


def rewire(weights, gradients, mask, fraction):
    """Return (new mask, places that came) for one flat tensor: drop small weights, grow large gradients."""
    alive = [i for i, flag in enumerate(mask) if flag]
    dead = [i for i, flag in enumerate(mask) if not flag]
    moved = min(math.floor(fraction * len(alive) + 1e-9), len(dead))
    stay = sorted(alive, key=lambda i: (-abs(weights[i]), i))[: len(alive) - moved]
    come = sorted(dead, key=lambda i: (-abs(gradients[i]), i))[:moved]
    return [i in set(stay) | set(come) for i in range(len(mask))], sorted(come)
