"""Slow reference for scopes: sort every candidate of a pool by (score, earlier place) in plain Python."""

from __future__ import annotations

import math
from fractions import Fraction

import torch


def pruned(sparsity: str, members: int) -> int:
    """Return the floor of a sparsity written in decimals times a count, exactly."""
    return int(Fraction(sparsity) * members)


def select(scores, pools, among=None):
    """Keep the best of each pool: higher score first, then the earlier tensor, then the lower index."""
    masks = [torch.zeros(score.shape, dtype=torch.bool) for score in scores]
    for pool in pools:
        places = [
            (-value, i, flat)
            for i in pool.indices
            for flat, value in enumerate(scores[i].double().reshape(-1).tolist())
            if among is None or among[i].reshape(-1)[flat]
        ]
        for _, i, flat in sorted(places)[: pool.keep]:
            masks[i].view(-1)[flat] = True
    return masks


def erdos_renyi(keep, sizes, shapes, kernel=True):
    """Hand out ``keep`` weights one by one to the tensor that is furthest below its share (Sainte-Laguë)."""
    counts = [0] * len(sizes)
    for _ in range(keep):
        claims = []
        for i, (size, shape) in enumerate(zip(sizes, shapes, strict=True)):
            dims = shape if kernel else shape[:2]
            weight = Fraction(size * sum(dims), math.prod(dims))
            if counts[i] < size:
                claims.append((-weight / (2 * counts[i] + 1), i))
        counts[min(claims)[1]] += 1
    return counts
