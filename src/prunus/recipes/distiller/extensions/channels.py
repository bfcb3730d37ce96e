"""ChannelRemover: takes masked channels out of a network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from prunus.recipes.distiller.thinning import Remover


@dataclass(frozen=True)
class ChannelRemover(Remover):
    """Remove the input channels of convolutions that are masked altogether, as FilterRemover does filters.

    **Nothing is removed yet**: prunus cannot shrink tensors so far. The schedule loads and runs with a NoEffect
    warning, another one at each firing says what would go, and what is masked stays as zeros.

    Args:
        thinning_func_str: remove_channels, or remove_filters, which makes it a FilterRemover.
        arch, dataset: change nothing; Distiller makes up a picture of that size.

    Raises:
        SettingError: another function.

    >>> ChannelRemover("remove_channels").dimension
    1
    """

    usual: ClassVar[str] = "remove_channels"
