"""What thinning would remove: filters and channels of convolutions that are masked altogether."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from prunus.errors import NoEffect, require_known
from prunus.recipes.distiller.contract import Chosen, Extension, Remark

DIMENSIONS: Mapping[str, tuple[int, str]] = {"remove_channels": (1, "channels"), "remove_filters": (0, "filters")}
"""What Distiller's thinning functions remove: slices along which dimension, and what they are called."""
MISSING = "nothing can be removed yet: prunus masks weights, but does not shrink tensors"


class Empty(NamedTuple):
    """The slices of one parameter that are masked altogether, and how many it has.

    >>> Empty("conv.weight", (0, 2), 4).places
    (0, 2)
    """

    name: str
    places: tuple[int, ...]
    total: int


def empty_slices(masks: Mapping[str, Tensor], dimension: int) -> list[Empty]:
    """Return for each 4-dimensional mask (True keeps) which slices along a dimension keep nothing, if any.

    >>> empty_slices({"conv.weight": torch.tensor([True, False, False]).view(3, 1, 1, 1)}, 0)
    [Empty(name='conv.weight', places=(1, 2), total=3)]
    """
    kernels = {name: mask.transpose(0, dimension).flatten(1) for name, mask in masks.items() if mask.dim() == 4}
    places = {name: tuple((~slices.any(dim=1)).nonzero().flatten().tolist()) for name, slices in kernels.items()}
    return [Empty(name, found, len(kernels[name])) for name, found in places.items() if found]


@dataclass(frozen=True)
class Remover(Extension):
    """Base of the extensions that remove what is masked altogether; what they say while nothing can be removed.

    >>> from prunus.recipes.distiller.extensions import FilterRemover
    >>> FilterRemover("remove_filters").dimension
    0
    """

    usual: ClassVar[str] = ""
    """The function that belongs to the class by its name, if one does."""

    thinning_func_str: str
    arch: str | None = None
    dataset: str | None = None

    def __post_init__(self) -> None:
        require_known("thinning_func_str", self.thinning_func_str, DIMENSIONS)

    @property
    def dimension(self) -> int:
        """The dimension of the slices."""
        return DIMENSIONS[self.thinning_func_str][0]

    def fit(self, chosen: Chosen) -> Iterator[Remark]:
        """Warn that nothing is removed; say what changes nothing besides."""
        lasting = "their biases and norms stay, so results may differ from those of a thinned network"
        yield Remark(f"{MISSING}; what is masked stays as zeros, {lasting}", severity="warning")
        if (self.arch, self.dataset) != (None, None):
            yield Remark("arch and dataset change nothing: no picture has to be made up here", severity="notice")
        if self.usual not in ("", self.thinning_func_str):
            text = f"{type(self).__name__} with {self.thinning_func_str} goes by the function, as in Distiller"
            yield Remark(text, "thinning_func_str", "notice")

    def act(self, model: nn.Module, optimizer: torch.optim.Optimizer | None, masks: Mapping[str, Tensor]) -> None:
        """Warn which slices of which parameters would go."""
        kind = DIMENSIONS[self.thinning_func_str][1]
        empty = empty_slices(masks, self.dimension)
        counts = ", ".join(f"{len(one.places)} of {one.total} {kind} of {one.name}" for one in empty)
        would = f"{MISSING}; {counts} stay as zeros" if empty else f"no {kind} are masked altogether"
        warnings.warn(f"{type(self).__name__}: {would}", NoEffect, stacklevel=2)
