"""Hold back what judges a run by its metrics until pruning is over: the ramp is no part of the contest.

Nothing is reset afterwards, because nothing happened: a tracker that is held back does not get to see the metrics, so
it starts with the state it was made with, and no file was written that it would have to forget.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from torch import Tensor

Allows = Callable[[Trainer, "str | None"], bool]


class Trackers:
    """Hold EarlyStopping, ModelCheckpoint and ReduceLROnPlateau back until told that the target is reached.

    From then on a tracker takes part at the first value of its monitor that was computed after the target was reached;
    one without a monitor takes part at once. A ModelCheckpoint that is held back still writes ``last.ckpt``, when and
    as often as it would have done. Several holders may hold one tracker: all have to let go.

    It makes no difference whether validation runs before the end of the epoch or several times in it, since the
    trackers' own moments are intercepted, and a resumed run holds on to what the saved one held.

    >>> trackers = Trackers()
    >>> stopping, trainer = EarlyStopping("val_loss"), Trainer(logger=False, enable_checkpointing=False)
    >>> trainer.callbacks.append(stopping)
    >>> trackers.hold(trainer)
    >>> trackers.allows(trainer, "val_loss")
    False
    >>> trackers.watch(trainer, reached=True)
    >>> trainer.callback_metrics["val_loss"] = Tensor([0.5])
    >>> trackers.allows(trainer, "val_loss")
    True
    >>> trackers.let_go(trainer)
    """

    def __init__(self) -> None:
        self.reached = False
        self._stale: dict[str, Tensor] = {}

    def hold(self, trainer: Trainer) -> None:
        """Begin: intercept the trackers of this run."""
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            for name, instead in _moments(callback):
                _gate_at(callback, name, instead).holders.append(self.allows)
        for config in trainer.lr_scheduler_configs:
            if config.reduce_on_plateau:
                config.frequency = _Rhythm(config.frequency, trainer, config.monitor, self.allows)

    def watch(self, trainer: Trainer, reached: bool) -> None:
        """Say whether the target is reached; call it after everything that could have reached it.

        The metrics known at that moment belong to the ramp. They are recognised by their memory, which cannot be used
        anew as long as they are kept here; their values may recur.
        """
        if reached and not self.reached:
            self.reached = True
            self._stale = dict(trainer.callback_metrics)

    def allows(self, trainer: Trainer, monitor: str | None) -> bool:
        """Whether a tracker of ``monitor`` may look: the target is reached and the value is from after it was."""
        if not self.reached or monitor is None:
            return self.reached
        value, stale = trainer.callback_metrics.get(monitor), self._stale.get(monitor)
        return value is None or stale is None or value.data_ptr() != stale.data_ptr()

    def let_go(self, trainer: Trainer) -> None:
        """End: leave every callback and every plateau scheduler as it was found."""
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            for name, _ in _moments(callback):
                _open(callback, name, self.allows)
        for config in trainer.lr_scheduler_configs:
            if isinstance(config.frequency, _Rhythm):
                config.frequency = config.frequency.without(self.allows)
        self._stale = {}


class _Rhythm(int):
    """How often Lightning steps a plateau scheduler, a number that divides nothing while a holder does not allow it.

    Lightning asks ``epoch % frequency == 0`` right before it steps; the number is not part of any checkpoint.
    """

    inner: int
    asked: tuple[Trainer, str | None]
    holder: Allows

    def __new__(cls, inner: int, trainer: Trainer, monitor: str | None, holder: Allows) -> _Rhythm:
        made = super().__new__(cls, inner)
        made.inner, made.asked, made.holder = inner, (trainer, monitor), holder
        return made

    def __rmod__(self, index: int) -> int:
        return index % self.inner if self.holder(*self.asked) else 1

    def without(self, holder: Allows) -> int:
        """Return what is left when one holder lets go."""
        if self.holder == holder:
            return self.inner
        if isinstance(self.inner, _Rhythm):
            self.inner = self.inner.without(holder)
        return self


class _Gate:
    """Stands in for a method of one tracker: passes the call on when every holder allows it."""

    def __init__(self, callback: Any, name: str, instead: Callable[[Any, Trainer], None]) -> None:
        self.callback, self.instead = callback, instead
        self.inner, self.before = getattr(callback, name), vars(callback).get(name)
        self.holders: list[Allows] = []

    def __call__(self, trainer: Trainer, *args: Any) -> None:
        if all(allows(trainer, self.callback.monitor) for allows in self.holders):
            self.inner(trainer, *args)
        else:
            self.instead(self.callback, trainer)


def _moments(callback: Callback) -> list[tuple[str, Callable[[Any, Trainer], None]]]:
    """The methods by which a tracker takes note of metrics, each with what to do instead."""
    if isinstance(callback, EarlyStopping):
        return [("on_validation_end", _nothing), ("on_train_epoch_end", _nothing)]
    if isinstance(callback, ModelCheckpoint):
        return [("_save_topk_checkpoint", _ask_for_last)]
    return []


def _nothing(callback: Any, trainer: Trainer) -> None:
    """Let the moment pass."""


def _ask_for_last(saver: ModelCheckpoint, trainer: Trainer) -> None:
    """Lightning writes ``last.ckpt`` only after another file of the same step, and may link to it: say there is one."""
    if saver.save_last:
        saver._last_global_step_saved = trainer.global_step
        saver._last_checkpoint_saved = ""


def _gate_at(callback: Callback, name: str, instead: Callable[[Any, Trainer], None]) -> _Gate:
    gate = vars(callback).get(name)
    if not isinstance(gate, _Gate):
        gate = vars(callback)[name] = _Gate(callback, name, instead)
    return gate


def _open(callback: Callback, name: str, holder: Allows) -> None:
    """Take one holder off a gate, and the gate away with its last holder."""
    gate = vars(callback).get(name)
    if isinstance(gate, _Gate) and holder in gate.holders:
        gate.holders.remove(holder)
        if not gate.holders:
            del vars(callback)[name]
            vars(callback).update({} if gate.before is None else {name: gate.before})
