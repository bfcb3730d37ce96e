"""ErdosRenyi: the larger a layer, the sparser, as random graphs with a fixed number of edges a node are."""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

from prunus.keep import pruned_count
from prunus.scopes.base import Pool, Scope


@dataclass(frozen=True)
class ErdosRenyi(Scope):
    r"""Give each tensor a density proportional to the sum of its dimensions over their product.

    .. math:: d_l = \min\!\Big(1,\ \epsilon\, \frac{\sum_i \dim_i}{\prod_i \dim_i}\Big), \qquad
              \sum_l k_l = N - \lfloor s N \rfloor, \quad k_l \approx d_l\, n_l

    Tensors that would exceed density 1 stay dense and the rest share what is left. The counts k_l are whole numbers
    that add up to the global count exactly: each is d_l n_l rounded to the nearest for one common epsilon (Webster's
    rule, ties to the earlier tensor), so no tensor gains when the sparsity rises.

    Parameters: ``kernel`` (default True) counts the kernel's dimensions too (ERK); False takes outputs and inputs only
    (Erdős-Rényi), which is the same for matrices.
    Errors: SettingError for a sparsity outside [0, 1], and without the shapes of the weights.
    Use it for sparse training from the start (RigL, SET), where it beats equal densities; it costs more operations than
    :class:`PerLayer` at the same sparsity, as small early layers of convolutional models stay dense.
    Source: Mocanu et al. 2018 (arXiv:1707.04780); Evci et al. 2020 (arXiv:1911.11134), section 3 (1) and appendix.

    >>> ErdosRenyi().allot([10000, 100], 0.8, shapes=[(100, 100), (10, 10)])
    [Pool(indices=(0,), keep=1920), Pool(indices=(1,), keep=100)]
    """

    needs_shapes: ClassVar[bool] = True

    kernel: bool = True

    def _pools(self, sizes: list[int], sparsity: float, shapes: list[tuple[int, ...]]) -> list[Pool]:
        keep = sum(sizes) - pruned_count(sparsity, sum(sizes))
        weights = [size * relative_density(shape, self.kernel) for size, shape in zip(sizes, shapes, strict=True)]
        return [Pool((i,), count) for i, count in enumerate(divide(keep, weights, sizes))]


def relative_density(shape: Sequence[int], kernel: bool = True) -> Fraction:
    """Return the sum of the dimensions over their product; a tensor without entries or dimensions counts as dense.

    >>> relative_density((64, 32, 3, 3)), relative_density((64, 32, 3, 3), kernel=False)
    (Fraction(17, 3072), Fraction(3, 64))
    """
    dims = shape if kernel else shape[:2]
    return Fraction(sum(dims), math.prod(dims)) if math.prod(dims) and dims else Fraction(1)


def divide(total: int, weights: Sequence[Fraction], limits: Sequence[int]) -> list[int]:
    """Divide a whole number in proportion to weights, none above its limit, by Webster's rule.

    Every share is weight times a common factor, rounded to the nearest; what rounding leaves over goes, one by one, to
    the highest weight / (2 share + 1), or comes from the lowest weight / (2 share - 1), earlier places first.

    >>> divide(10, [Fraction(3), Fraction(2), Fraction(1)], [4, 9, 9])
    [4, 4, 2]
    """
    factor = _factor(total, weights, limits)
    rounded = [math.floor(weight * factor + Fraction(1, 2)) for weight in weights]
    shares = [min(share, limit) for share, limit in zip(rounded, limits, strict=True)]
    step = 1 if sum(shares) < total else -1
    open_places = [i for i, limit in enumerate(limits) if (shares[i] < limit if step > 0 else shares[i] > 0)]
    queue = [_claim(i, weights[i], shares[i], step) for i in open_places]
    heapq.heapify(queue)
    for _ in range(abs(total - sum(shares))):
        place = abs(heapq.heappop(queue)[1])
        shares[place] += step
        if (shares[place] < limits[place]) if step > 0 else shares[place] > 0:
            heapq.heappush(queue, _claim(place, weights[place], shares[place], step))
    return shares


def _claim(place: int, weight: Fraction, share: int, step: int) -> tuple[Fraction, int]:
    """Return the key by which a place comes first when one is handed out (step 1) or taken back (step -1)."""
    return -step * weight / (2 * share + step), step * place


def _factor(total: int, weights: Sequence[Fraction], limits: Sequence[int]) -> Fraction:
    """Return the factor at which min(limit, weight x factor) add up to the total: closes those that fill up first."""
    pairs = [(weight, limit) for weight, limit in zip(weights, limits, strict=True) if weight]
    open_weight, left, factor = sum(weights, Fraction(0)), Fraction(total), Fraction(0)
    for weight, limit in sorted(pairs, key=lambda pair: pair[1] / pair[0]):
        factor = left / open_weight
        if weight * factor < limit:
            break
        open_weight, left = open_weight - weight, left - limit
    return factor
