"""Slow references: for every structure, which flat indices make up which group, by loops over coordinates."""

from __future__ import annotations

from itertools import product
from math import prod


def _by_key(shape, key):
    """Collect flat indices under key(coordinates); groups in the order of their sorted keys."""
    groups = {}
    for flat, place in enumerate(product(*map(range, shape))):
        groups.setdefault(key(place), []).append(flat)
    return [groups[k] for k in sorted(groups)]


def _block(shape, rows=4, cols=4):
    width = prod(shape[1:])
    groups = {}
    for flat in range(prod(shape)):
        down, across = divmod(flat, width)
        groups.setdefault((down // rows, across // cols), []).append(flat)
    return [groups[k] for k in sorted(groups)]


PLACES = {
    "block": _block,
    "channel": lambda shape: _by_key(shape, lambda p: p[1]),
    "column": lambda shape: _by_key(shape, lambda p: p[1]),
    "element": lambda shape: _by_key(shape, lambda p: p),
    "filter": lambda shape: _by_key(shape, lambda p: p[0]),
    "kernel": lambda shape: _by_key(shape, lambda p: p[:2]),
    "layer": lambda shape: _by_key(shape, lambda p: 0),
    "n_m": lambda shape, n=2, m=4: _by_key(shape, lambda p: (p[0], p[2:], p[1])),
    "row": lambda shape: _by_key(shape, lambda p: p[0]),
}
