"""Global: all tensors compete for one budget."""

from __future__ import annotations

from dataclasses import dataclass

from prunus.keep import pruned_count
from prunus.scopes.base import Pool, Scope


@dataclass(frozen=True)
class Global(Scope):
    r"""Prune the lowest scores wherever they lie, counting over all tensors together.

    .. math:: \text{pruned} = \Big\lfloor s \sum_l n_l \Big\rfloor

    Errors: SettingError for a sparsity outside [0, 1].
    Use it to let the scores decide how sparse each layer gets, usually the better trade at high sparsity. It compares
    scores across tensors: average the norms of groups of different sizes, and beware that it may empty a layer of
    small weights, which :class:`PerLayer` cannot below sparsity 1.
    Source: Han et al. 2015 with one threshold; Blalock et al. 2020 (arXiv:2003.03033), section 2.3, "scoring".

    >>> Global().allot([6, 4], 0.55)
    [Pool(indices=(0, 1), keep=5)]
    """

    def _pools(self, sizes: list[int], sparsity: float, shapes: list[tuple[int, ...]]) -> list[Pool]:
        members = sum(sizes)
        return [Pool(tuple(range(len(sizes))), members - pruned_count(sparsity, members))]
