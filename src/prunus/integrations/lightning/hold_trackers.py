"""HoldTrackers: nothing is judged by its metrics unless it has the sparsity that was asked for."""

from __future__ import annotations

from lightning.pytorch import Callback, LightningModule, Trainer

from prunus import measure
from prunus.errors import require_fraction
from prunus.integrations.lightning.trackers import Trackers
from prunus.optim import BregmanOptimizer


class HoldTrackers(Callback):
    r"""Let EarlyStopping, ModelCheckpoint and ReduceLROnPlateau look only while the sparsity is on target.

    .. math:: |s - s^*| \le \text{tolerance}

    s is the share of exact zeros among the weights that a Bregman optimizer steers, or among all weight matrices and
    kernels, when the tracker would look. So the best checkpoint is the best of those that count: a run that starts at
    99 % or dense and is steered to 90 % has no dense "best". ``last.ckpt`` is written all the same. Where the target is
    never met there is no best checkpoint.

    Args:
        target_sparsity: s*.
        tolerance: 0.005 is half a point; 0 asks for equality up to one weight in a thousand million.

    MagnitudePruner and SafeModelPruning hold trackers by themselves, until the ramp is over; use this one beside
    BregmanPruner and Compression. It keeps no state. Source: the validation suppressor of sparse speaker training.

    >>> HoldTrackers(0.9).on_target(0.93), HoldTrackers(0.9).on_target(0.897)
    (False, True)
    """

    def __init__(self, target_sparsity: float, tolerance: float = 0.005) -> None:
        require_fraction("target_sparsity", target_sparsity)
        require_fraction("tolerance", tolerance)
        self.target_sparsity, self.tolerance = target_sparsity, tolerance
        self._trackers: Trackers | None = None

    def on_target(self, sparsity: float) -> bool:
        """Say whether a sparsity is near enough."""
        return abs(sparsity - self.target_sparsity) <= self.tolerance + 1e-9

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Hold the trackers before any of them has seen a metric."""
        self._trackers = _WhileOnTarget(self)
        self._trackers.hold(trainer)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Leave the trackers as they were found."""
        self._let_go(trainer)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Leave the trackers as they were found."""
        if stage == "fit":
            self._let_go(trainer)

    def _let_go(self, trainer: Trainer) -> None:
        if self._trackers is not None:
            self._trackers.let_go(trainer)
            self._trackers = None


class _WhileOnTarget(Trackers):
    """Holders that look at the weights each time, because sparsity may leave its target again."""

    def __init__(self, holder: HoldTrackers) -> None:
        super().__init__()
        self.holder = holder

    def allows(self, trainer: Trainer, monitor: str | None) -> bool:
        """Whether the weights are on target now; a tracker without a monitor judges nothing and is let through."""
        return monitor is None or self.holder.on_target(_sparsity(trainer))


def _sparsity(trainer: Trainer) -> float:
    """The share of zeros, of what is steered where anything is."""
    (optimizer, *_) = trainer.optimizers
    steered = [one.parameter for one in optimizer.regularized()] if isinstance(optimizer, BregmanOptimizer) else []
    return measure.sparsity(steered or trainer.lightning_module)
