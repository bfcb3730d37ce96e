"""One line of figures an epoch, for terminals and for files alike."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence

from lightning.pytorch import Callback, LightningModule, Trainer

from prunus._echo import Echo, to_stdout
from prunus.integrations.lightning.compression import PREFIXES


class EpochLines(Callback):
    """Write one line after every epoch: its number, the figures that were logged for it, and its seconds.

    Args:
        metrics: names of the figures to show, in this order; None shows all of them. A name that was not logged shows
            nothing, since figures may begin late.
        echo: takes a line; by default it goes to standard output.

    Put it last in the trainer's callbacks: it sees what was logged before its turn. Only the first process writes.

    >>> EpochLines.line(3, 25, {"train/loss": 0.5, "prunus/sparsity": 0.9}, 1.25)
    'epoch   3/25  train/loss 0.5  sparsity 0.9  1.2 s'
    """

    def __init__(self, metrics: Sequence[str] | None = None, echo: Echo = to_stdout) -> None:
        self.metrics = metrics
        self.echo = echo
        self._started = 0.0

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        self._started = time.perf_counter()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the line."""
        if not trainer.is_global_zero:
            return
        logged = {name: float(value) for name, value in trainer.callback_metrics.items() if value.numel() == 1}
        names = logged if self.metrics is None else [name for name in self.metrics if name in logged]
        shown = {name: logged[name] for name in names if not name.endswith("_step")}
        seconds = time.perf_counter() - self._started
        self.echo(self.line(trainer.current_epoch + 1, trainer.max_epochs, shown, seconds))

    @staticmethod
    def line(epoch: int, epochs: int | None, figures: Mapping[str, float], seconds: float) -> str:
        """Return the line; figures of compression lose their family's name."""
        total = "" if epochs is None or epochs < 0 else f"/{epochs}"
        shown = (f"{_plain(name)} {_short(value)}" for name, value in figures.items())
        return "  ".join([f"epoch {epoch:3}{total}", *shown, f"{seconds:.1f} s"])


def _plain(name: str) -> str:
    family, _, rest = name.partition("/")
    return rest if f"{family}/" in PREFIXES else name


def _short(value: float) -> str:
    return f"{value:.4g}" if math.isfinite(value) else str(value)
