"""The one sparsity count: exact zeros, natural or masked, of the chosen weights."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from torch import Tensor, nn

from prunus._pieces import nonzeros
from prunus.errors import SelectionError
from prunus.masks import MaskStore
from prunus.select import Select, targets


@dataclass(frozen=True)
class Count:
    """How many of ``total`` weights are exact zeros.

    >>> Count(zeros=9, total=10).sparsity
    0.9
    >>> str(Count(zeros=9, total=10))
    '90.00 % (1 of 10 left)'
    """

    zeros: int
    total: int

    @property
    def kept(self) -> int:
        """Number of weights that are not zero."""
        return self.total - self.zeros

    @property
    def sparsity(self) -> float:
        """Share of exact zeros in [0, 1]; 0 for an empty selection."""
        return self.zeros / self.total if self.total else 0.0

    @property
    def density(self) -> float:
        """Share of weights that are not zero, ``1 - sparsity``."""
        return 1.0 - self.sparsity

    def __str__(self) -> str:
        """Return the percentage with the exact count behind it."""
        return f"{100 * self.sparsity:.2f} % ({self.kept:,} of {self.total:,} left)"


def count(
    weights: nn.Module | Tensor | Iterable[Tensor], *, select: Select | None = None, masks: MaskStore | None = None
) -> Count:
    """Count the exact zeros of a tensor, of tensors, or of the weights that ``select`` chooses in a model.

    Both +0.0 and -0.0 are zeros; NaN is not. With ``masks``, a masked place counts as zero whatever the parameter
    holds there (between an optimizer's update and its hook, say). One read of the weights.

    Args:
        weights: a model, a tensor, or an iterable of tensors.
        select: which parameters of a model count; default as in :class:`prunus.select.Select`.
        masks: masks of the same model.

    >>> import torch
    >>> count(torch.tensor([0.0, -0.0, 1.0]))
    Count(zeros=2, total=3)
    """
    tensors = _tensors(weights, select, masks)
    total = sum(tensor.numel() for tensor in tensors)
    return Count(total - sum(nonzeros(tensor) for tensor in tensors), total)


def sparsity(
    weights: nn.Module | Tensor | Iterable[Tensor], *, select: Select | None = None, masks: MaskStore | None = None
) -> float:
    """Return the share of exact zeros in [0, 1]; the arguments are those of :func:`count`.

    >>> import torch
    >>> sparsity([torch.zeros(3), torch.ones(1)])
    0.75
    """
    return count(weights, select=select, masks=masks).sparsity


def _tensors(
    weights: nn.Module | Tensor | Iterable[Tensor], select: Select | None, masks: MaskStore | None
) -> list[Tensor]:
    """The tensors whose zeros count, masked places filled in."""
    if isinstance(weights, nn.Module):
        chosen = targets(weights, select)
        if masks is None:
            return [target.parameter for target in chosen]
        return [_masked(target.parameter, target.name, masks) for target in chosen]
    if select is not None or masks is not None:
        raise SelectionError("select and masks go with a model; tensors have no names to choose by")
    return [weights] if isinstance(weights, Tensor) else list(weights)


def _masked(parameter: Tensor, name: str, masks: MaskStore) -> Tensor:
    return parameter.detach() * masks[name].to(parameter.device) if name in masks else parameter
