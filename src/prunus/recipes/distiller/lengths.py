"""The lengths of groups as Distiller's regularizers take them, and what they come to."""

from __future__ import annotations

import torch
from torch import Tensor

from prunus.recipes.distiller.structures import CHARGED
from prunus.regularizers.grouped import group_norms

SMOOTH = {"Channels": 1e-4}
"""The length that a group of zeros has; of the other groups it is 0."""


def lengths(weight: Tensor, group: str) -> Tensor:
    r"""Return the Euclidean length of each group, without a weight for its size.

    .. math:: \ell_g = \sqrt{\lVert w_g \rVert^2 + \varepsilon^2}, \qquad \varepsilon = 10^{-4}
              \text{ for Channels, else } 0

    The gradient of a group of zeros is 0. Half precision is added up in float32. Source: Distiller.

    >>> lengths(torch.tensor([[3.0, 4.0], [0.0, 0.0]]), "Rows")
    tensor([5., 0.])
    >>> lengths(torch.zeros(2, 3, 1, 1), "Channels")
    tensor([1.0000e-04, 1.0000e-04, 1.0000e-04])
    """
    found = group_norms(CHARGED[group].split(weight))
    return torch.hypot(found, found.new_tensor(SMOOTH[group])) if group in SMOOTH else found


def inverse_variance(values: Tensor) -> Tensor:
    r"""Return one over the unbiased variance.

    .. math:: \Big( \tfrac{1}{n-1} \sum_g (\ell_g - \bar\ell)^2 \Big)^{-1}

    >>> inverse_variance(torch.tensor([1.0, 3.0]))
    tensor(0.5000)
    """
    return values.var(correction=1).reciprocal()
