"""The lengths of groups as Distiller's regularizers take them, and what they come to."""

from __future__ import annotations

from torch import Tensor

from prunus.recipes.distiller.structures import CHARGED
from prunus.regularizers.base import wide
from prunus.regularizers.grouped import group_norms

CHANNELS = "Channels"
SQUARE = 1e-8
"""What the squared length of a channel of zeros is; of other groups it is 0."""


def lengths(weight: Tensor, group: str) -> Tensor:
    r"""Return the Euclidean length of each group, without a weight for its size.

    .. math:: \ell_g = \sqrt{\lVert w_g \rVert^2 + \varepsilon}, \qquad
              \varepsilon = 10^{-8} \text{ for Channels, else } 0

    The gradient of a group of zeros is 0. Half precision is added up in float32. Source: Distiller.

    >>> import torch
    >>> lengths(torch.tensor([[3.0, 4.0], [0.0, 0.0]]), "Rows")
    tensor([5., 0.])
    >>> lengths(torch.zeros(2, 3, 1, 1), "Channels")
    tensor([1.0000e-04, 1.0000e-04, 1.0000e-04])
    """
    if group != CHANNELS:
        return group_norms(CHARGED[group].split(weight))
    # Channels lie across the memory: summed as they lie, they take half the time that gathering them takes.
    others = [at for at in range(weight.dim()) if at != 1]
    return (weight.to(wide(weight.dtype)).square().sum(dim=others) + SQUARE).sqrt()


def inverse_variance(values: Tensor) -> Tensor:
    r"""Return one over the unbiased variance.

    .. math:: \Big( \tfrac{1}{n-1} \sum_g (\ell_g - \bar\ell)^2 \Big)^{-1}

    >>> import torch
    >>> inverse_variance(torch.tensor([1.0, 3.0]))
    tensor(0.5000)
    """
    return values.var(correction=1).reciprocal()
