"""PerLayer: the same sparsity in every tensor."""

from __future__ import annotations

from dataclasses import dataclass

from prunus.keep import pruned_count
from prunus.scopes.base import Pool, Scope


@dataclass(frozen=True)
class PerLayer(Scope):
    r"""Prune the same share of every tensor.

    .. math:: \text{pruned}_l = \lfloor s\, n_l \rfloor

    Each count is rounded down on its own, so many small tensors may fall short of s in total by up to one member each.
    Errors: SettingError for a sparsity outside [0, 1].
    Use it where layers differ in scale, or where hardware wants the same sparsity everywhere. It takes as much from
    small, sensitive layers as from large ones; exclude those, or use :class:`Global`.
    Source: uniform layer-wise magnitude pruning, Zhu and Gupta 2017 (arXiv:1710.01878).

    >>> PerLayer().allot([6, 4], 0.55)
    [Pool(indices=(0,), keep=3), Pool(indices=(1,), keep=2)]
    """

    def _pools(self, sizes: list[int], sparsity: float, shapes: list[tuple[int, ...]]) -> list[Pool]:
        return [Pool((i,), size - pruned_count(sparsity, size)) for i, size in enumerate(sizes)]
