"""FilterRemover: takes masked filters out of a network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from prunus.recipes.distiller.thinning import Remover


@dataclass(frozen=True)
class FilterRemover(Remover):
    """Remove the filters of convolutions that are masked altogether, at the first mini-batch of each firing epoch.

    **Nothing is removed yet**: prunus cannot shrink tensors so far. The schedule loads and runs with a NoEffect
    warning, another one at each firing says what would go, and what is masked stays as zeros.

    Args:
        thinning_func_str: remove_filters, or remove_channels, which makes it a ChannelRemover.
        arch, dataset: change nothing; Distiller makes up a picture of that size.

    Raises:
        SettingError: another function.

    Its policy comes after that of the pruner whose masks it goes by.

    >>> FilterRemover("remove_filters", arch="resnet56_cifar", dataset="cifar10").thinning_func_str
    'remove_filters'
    """

    usual: ClassVar[str] = "remove_filters"
