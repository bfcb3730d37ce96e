"""``prunus train`` in a process of its own, which can be told to die at a step."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer

from prunus.checkpoints import write
from prunus.cli.train import run

KILLER = "+callbacks.killer={_target_: tests.e2e.training.Killer, step: %s}"
KEEPER = "+callbacks.keeper={_target_: tests.e2e.training.Keeper, file: %s}"


class Killer(Callback):
    """Die when a batch is over, before a checkpoint of it is written."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        if trainer.global_step == self.step:
            os.kill(os.getpid(), signal.SIGKILL)


class Keeper(Callback):
    """Write down everything that must be bit-identical, when training is over."""

    def __init__(self, file: str) -> None:
        self.file = file

    def on_train_end(self, trainer: Trainer, *_: Any) -> None:
        trackers = [one.state_dict() for one in trainer.callbacks if "dirpath" not in one.state_dict()]
        scores = [getattr(one, "best_model_score", None) for one in trainer.checkpoint_callbacks]
        schedules = [one.scheduler.state_dict() for one in trainer.lr_scheduler_configs]
        state = {"model": trainer.lightning_module.state_dict(), "optimizer": trainer.optimizers[0].state_dict()}
        write(Path(self.file), {**state, "callbacks": trackers, "scores": scores, "schedules": schedules})


def train(arguments: list[str], file: Path, kill_at: int | None) -> None:
    torch.set_num_threads(1)
    run([*arguments, KEEPER % file, *([] if kill_at is None else [KILLER % kill_at])])
