"""Sparse initialisation: keep a random few of the starting weights and zero the rest, with exact counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any
from warnings import warn

import torch
from torch import Tensor

from prunus.errors import Faults, NoEffect, SettingError, did_you_mean, require_fraction, require_known
from prunus.keep import exactly, pruned_count
from prunus.structures import Channel, Column, Element, Filter, Kernel, Row, Structure

TYPES: dict[str, Structure] = {
    "channel": Channel(),
    "column": Column(),
    "filter": Filter(),
    "kernel": Kernel(),
    "row": Row(),
    "unstructured": Element(),
}

# The names of `structured_method` are those of the original configurations, and count the other way round than ours:
# there "channel" are the slices of dimension 0 and "filter" those of dimension 1.
METHODS: dict[str, Structure] = {"channel": Filter(), "filter": Channel()}


@dataclass(frozen=True)
class SparseInit:
    """What a group's ``pruning_config`` says: which share of the starting weights is zeroed, and in which pieces.

    Args:
        pruning_type: "unstructured" (single weights, the default); "row", "column", "kernel", "filter" or "channel" of
            :mod:`prunus.structures`; or "structured", whose pieces ``structured_method`` names.
        sparsity_rate: Share to zero at the start, in [0, 1]; not the target. Default 0, which does nothing; Bregman
            training usually starts at 0.99.
        structured_method: For "structured" only: "channel" (the default; slices of dimension 0, our Filter) or "filter"
            (slices of dimension 1, our Channel), as the original configurations name them.
        rescale: Divide the survivors by the square root of the density reached, so that the sums which each unit forms
            keep their variance. Default False.

    Raises:
        SettingError: with every fault of the settings.

    A ``structured_method`` beside another type acts on nothing and warns NoEffect.

    Source: the pruning groups of sparse speaker-verification training; rescaling after Bungert, Roith, Tenbrinck,
    Burger, JMLR 23(192), 2022, section 4.1.

    >>> SparseInit("structured", 0.5).structure, SparseInit("filter", 0.5).structure
    (Filter(), Filter())
    """

    pruning_type: str = "unstructured"
    sparsity_rate: float = 0.0
    structured_method: str | None = None
    rescale: bool = False

    def __post_init__(self) -> None:
        """Check every setting and raise once."""
        faults = Faults("pruning_config")
        for check in (self._require_rate, self._require_type, self._require_method, self._require_rescale):
            try:
                check()
            except SettingError as fault:
                faults.add(str(fault))
        faults.raise_as(SettingError)
        if self.structured_method is not None and self.pruning_type != "structured":
            message = f"structured_method={self.structured_method!r} does nothing beside {self.pruning_type!r}"
            warn(f'{message}; write pruning_type="structured" or drop it', NoEffect, stacklevel=3)

    @classmethod
    def of(cls, config: Mapping[str, Any] | SparseInit | None) -> SparseInit:
        """Read a ``pruning_config`` mapping; None and an empty one zero nothing.

        Raises:
            SettingError: an unknown key, with the nearest known one, or a wrong value.
        """
        if isinstance(config, SparseInit):
            return config
        if config is not None and not isinstance(config, Mapping):
            raise SettingError(f'pruning_config is {config!r}, expected a mapping such as {{"sparsity_rate": 0.99}}')
        settings = {str(key): value for key, value in (config or {}).items()}
        known = [field.name for field in fields(cls)]
        faults = Faults("pruning_config")
        for key in sorted(settings.keys() - set(known)):
            faults.add(f"{key} is no key of it. {did_you_mean(key, known)}")
        faults.raise_as(SettingError)
        return cls(**settings)

    @property
    def structure(self) -> Structure:
        """The pieces that live or die as one."""
        return METHODS[self.structured_method or "channel"] if self.structured else TYPES[self.pruning_type]

    @property
    def structured(self) -> bool:
        """Whether ``structured_method`` says which pieces."""
        return self.pruning_type == "structured"

    def spares(self, param: Tensor) -> bool:
        """Say whether a tensor is left alone: vectors and scalars have no rows, filters or channels to zero."""
        return param.dim() < 2 and self.pruning_type != "unstructured"

    def _require_rate(self) -> None:
        require_fraction("sparsity_rate", self.sparsity_rate)

    def _require_type(self) -> None:
        require_known("pruning_type", self.pruning_type, [*TYPES, "structured"])

    def _require_method(self) -> None:
        if self.structured_method is not None:
            require_known("structured_method", self.structured_method, METHODS)

    def _require_rescale(self) -> None:
        if not isinstance(self.rescale, bool):
            raise SettingError(f"rescale is {self.rescale!r}, expected True or False")


def initialise_(
    params: Iterable[Tensor],
    pruning_config: Mapping[str, Any] | SparseInit | None,
    generator: torch.Generator | None = None,
) -> list[int]:
    """Zero the share of each tensor that a ``pruning_config`` asks for, in place; return what each tensor kept.

    Args:
        params: The parameters of one group.
        pruning_config: ``{pruning_type, sparsity_rate, structured_method, rescale}``, each optional, or None: see
            :class:`SparseInit`.
        generator: Source of the choice; None (default) is torch's global one.

    Returns:
        The number of pieces (weights, rows, filters …) that each tensor kept; for a tensor left alone, of its weights.

    Vectors and scalars are left alone by every structured type; a share of 0 draws no random number.

    Raises:
        SettingError: wrong or unknown settings.
        StructureError: a tensor cannot be split that way; no tensor has changed then.

    >>> weights = [torch.ones(8, 4), torch.ones(8)]
    >>> initialise_(weights, {"pruning_type": "row", "sparsity_rate": 0.75}, torch.Generator().manual_seed(0))
    [2, 8]
    >>> [int(weight.sum()) for weight in weights]
    [8, 8]
    """
    config, params = SparseInit.of(pruning_config), list(params)
    if params and config.sparsity_rate > 0 and all(config.spares(param) for param in params):
        warn(f"{config} finds only vectors and scalars, which it leaves alone", NoEffect, stacklevel=2)
    thinned = [param for param in params if not config.spares(param)]
    kept = iter(_thin_all_(thinned, config.sparsity_rate, config.structure, generator, config.rescale))
    return [param.numel() if config.spares(param) else next(kept) for param in params]


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

    >>> weight = torch.ones(4, 3)
    >>> sparsify_([weight], 0.25, Row(), torch.Generator().manual_seed(0), rescale=True)
    [1]
    >>> sorted(weight.sum(dim=1).tolist())
    [0.0, 0.0, 0.0, 6.0]
    """
    require_fraction("density", density)
    return _thin_all_(list(params), 1.0 - density, Element() if structure is None else structure, generator, rescale)


@torch.no_grad()
def _thin_all_(
    params: list[Tensor], sparsity: float, structure: Structure, generator: torch.Generator | None, rescale: bool
) -> list[int]:
    """Zero a random share of the groups of each tensor once all tensors are known to have such groups."""
    for param in params:
        structure.require(param.shape)
    return [_thin_(param, sparsity, structure, generator, rescale) for param in params]


def _thin_(
    param: Tensor, sparsity: float, structure: Structure, generator: torch.Generator | None, rescale: bool
) -> int:
    """Zero the groups of one tensor that a random draw does not keep; return how many it kept."""
    groups = structure.groups(param.shape)
    kept = groups - pruned_count(sparsity, groups)
    if kept == groups:
        return kept
    scores = torch.rand(groups, generator=generator, device=generator.device if generator else param.device)
    (alive,) = exactly([scores], kept)
    param.masked_fill_(structure.expand(~alive.to(param.device), param.shape), 0.0)
    if rescale and kept:
        param.mul_((groups / kept) ** 0.5)
    return kept
