"""StructureRemover: takes masked filters or channels out of a network."""

from __future__ import annotations

from dataclasses import dataclass

from prunus.recipes.distiller.thinning import Remover


@dataclass(frozen=True)
class StructureRemover(Remover):
    """Remove the filters or channels of convolutions that are masked altogether: FilterRemover and ChannelRemover.

    **Nothing is removed yet**: prunus cannot shrink tensors so far. The schedule loads and runs with a NoEffect
    warning, another one at each firing says what would go, and what is masked stays as zeros.

    Args:
        thinning_func_str: remove_filters or remove_channels.
        arch, dataset: change nothing; Distiller makes up a picture of that size.

    Raises:
        SettingError: another function.

    >>> StructureRemover("remove_filter")
    Traceback (most recent call last):
        ...
    prunus.errors.SettingError: thinning_func_str is 'remove_filter', which is unknown. Did you mean 'remove_filters'?
    """
