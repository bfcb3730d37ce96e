"""``prunus train`` killed −9 inside an epoch, then run again with ckpt_path: as if it had never been killed."""

from __future__ import annotations

import multiprocessing
import signal
from pathlib import Path
from typing import Any

import pytest

from prunus.checkpoints import read
from prunus.tasks.experiment import outcomes
from tests.e2e import training
from tests.e2e.comparing import differences

IMAGES = ["datamodule.train=200", "datamodule.test=50", "datamodule.validation=50", "datamodule.batch_size=32"]
VOICES = ["datamodule=speaker_synthetic", "module=sv_xvector", "datamodule.dataset.max_duration=0.6", "module.draws=4"]
VOICES += ["module.augment.seconds=0.5", "datamodule.loaders.train.batch_size=64", "datamodule.per_speaker=16"]
RAMP = ["callbacks.model_pruning.epochs_to_ramp=2"]
USUAL = ["callbacks.step_checkpoint.every_n_train_steps=2", "trainer.max_epochs=3", "trainer.min_epochs=1"]
USUAL += ["trainer.accelerator=cpu", "trainer.log_every_n_steps=1", "callbacks.progress=null", "logger=none"]
RUNS = {
    "images, budget": (["experiment=vision/digits_budget", "target=0.5", *IMAGES], 8),
    "images, magnitude": (
        ["experiment=vision/digits_magnitude", *RAMP, *IMAGES],
        8,
    ),
    "voices, λ feedback": (["experiment=sv/sv_pruning_bregman", *VOICES], 6),
}
"""Experiment, and the step at which it dies: inside the second epoch, after a checkpoint in the same epoch."""

TRAINING_MEANS = ".train/"
"""Lightning forgets what it has summed up for the means of an interrupted epoch: they are of its other batches."""


@pytest.fixture(scope="module")
def processes() -> Any:
    """Every run is a process of its own, forked from one that has imported everything and done nothing."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.e2e.training"])
    return context


def train(processes: Any, arguments: list[str], file: Path, kill_at: int | None = None) -> int:
    process = processes.Process(target=training.train, args=(arguments, file, kill_at))
    process.start()
    process.join()
    return int(process.exitcode)


@pytest.mark.parametrize("name", RUNS)
def test_killed_and_resumed_equals_never_killed(name: str, processes: Any, tmp_path: Path) -> None:
    arguments, kill_at = RUNS[name]
    whole, killed = ([*arguments, *USUAL, f"hydra.run.dir={tmp_path / part}"] for part in ("whole", "killed"))
    assert train(processes, whole, tmp_path / "expected") == 0
    assert train(processes, killed, tmp_path / "found", kill_at) == -signal.SIGKILL
    assert not (tmp_path / "found").exists() and (tmp_path / "killed" / "checkpoints" / "step.ckpt").exists()
    assert train(processes, [*killed, "ckpt_path=last"], tmp_path / "found") == 0
    unlike = differences(read(tmp_path / "expected"), read(tmp_path / "found"))
    assert [one for one in unlike if TRAINING_MEANS not in one] == []
    expected, found = outcomes([tmp_path / "whole", tmp_path / "killed"])
    assert (expected.metrics, expected.zeros, expected.epochs) == (found.metrics, found.zeros, found.epochs)
