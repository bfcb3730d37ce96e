"""Sparse initialisation: keep a random few of the starting weights and zero the rest."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from prunus.errors import require_fraction
from prunus.keep import exactly, pruned_count
from prunus.structures import Element, Structure


@torch.no_grad()
def sparsify_(
    params: Iterable[Tensor],
    density: float,
    structure: Structure | None = None,
    generator: torch.Generator | None = None,
    rescale: bool = False,
) -> list[int]:
    r"""Zero all but a random share of each tensor's groups, in place, and return how many groups each tensor kept.

    Of n groups, ``n - pruned_count(1 - density, n)`` are kept: an exact count, chosen uniformly at random.

    Args:
        params: The tensors to thin, such as a model's weights (leave biases out).
        density: Share of groups to keep, in [0, 1]. Bregman training usually starts at 0.01.
        structure: What is kept or zeroed as one; None (default) is Element(). Take that of the group's regularizer.
        generator: Source of the choice; None (default) is torch's global one. Scores are drawn on its device.
        rescale: Divide the survivors by the square root of the density reached, which keeps the variance of the sums
            each unit forms where it was. Default False.

    Raises:
        SettingError: density is not in [0, 1].
        StructureError: a tensor cannot be split that way; no tensor has changed then.

    Call it before the first optimizer step: the dual starts from the weights found there. Not for a trained model: its
    weights are worth more than a random choice: prune those by a criterion.

    Source: Bungert, Roith, Tenbrinck, Burger, JMLR 23(192), 2022; the count is exact here rather than on average.

    >>> from prunus.structures import Row
    >>> weight = torch.ones(4, 3)
    >>> sparsify_([weight], 0.25, Row(), torch.Generator().manual_seed(0), rescale=True)
    [1]
    >>> sorted(weight.sum(dim=1).tolist())
    [0.0, 0.0, 0.0, 6.0]
    """
    require_fraction("density", density)
    params = list(params)
    structure = Element() if structure is None else structure
    for param in params:
        structure.require(param.shape)
    return [_thin_(param, density, structure, generator, rescale) for param in params]


def _thin_(
    param: Tensor, density: float, structure: Structure, generator: torch.Generator | None, rescale: bool
) -> int:
    """Zero the groups of one tensor that a random draw does not keep; return how many it kept."""
    groups = structure.groups(param.shape)
    kept = groups - pruned_count(1.0 - density, groups)
    scores = torch.rand(groups, generator=generator, device=generator.device if generator else param.device)
    (alive,) = exactly([scores], kept)
    param.masked_fill_(structure.expand(~alive.to(param.device), param.shape), 0.0)
    if rescale and kept:
        param.mul_((groups / kept) ** 0.5)
    return kept
