"""What a LightningModule logged in the present epoch: no figure of an earlier one, none lost with a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping

from lightning.pytorch import Trainer
from torch import Tensor


class EpochFigures:
    """Collect the single figures that are logged in an epoch, apart from those with certain prefixes.

    Lightning goes on showing the metrics of the last validation in epochs without one; what has not been logged anew is
    left out here. A checkpoint at the end of a validation is written before the epoch ends, and Lightning does not end
    that epoch again, so ``kept`` belongs into it.

    >>> figures = EpochFigures(("prunus/",))
    >>> figures.take(Trainer(logger=False, accelerator="cpu"))
    {}
    """

    def __init__(self, prefixes: tuple[str, ...]) -> None:
        self.prefixes = prefixes
        self.kept: dict[str, float] = {}
        self._before: Mapping[str, Tensor] = {}

    def take(self, trainer: Trainer) -> dict[str, float]:
        """Add what has been logged since the epoch began, and return all of it."""
        for name, value in trainer.callback_metrics.items():
            fresh = value is not self._before.get(name)  # Lightning makes a new tensor of every reading
            if fresh and value.numel() == 1 and not name.startswith(self.prefixes):
                self.kept[name] = float(value)
        return dict(self.kept)

    def clear(self, trainer: Trainer) -> None:
        """Begin anew: what is there now belongs to the epoch that ends."""
        self.kept, self._before = {}, dict(trainer.callback_metrics)
