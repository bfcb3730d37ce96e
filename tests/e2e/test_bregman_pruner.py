"""BregmanPruner killed and resumed ends as if never killed; two processes keep the same weights and the same λ."""

from __future__ import annotations

import multiprocessing
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint

from prunus.checkpoints import read, write
from prunus.integrations.loop import ResumableLoader
from tests.e2e.comparing import differences
from tests.e2e.runs import Killer, data, trainer_for
from tests.integrations.bregman_runs import FIRST_WEIGHT, MODES, START, fit, module_for, outcome
from tests.ranks import exit_codes, stay_on_this_machine

EVERY, KILLED_AT, WORLD = 5, 19, 2


def killed(mode: str, folder: Path, out: Path, kill_at: int | None) -> None:
    torch.set_num_threads(1)
    pruner, path = MODES[mode](), folder / "run.ckpt"
    saver = ModelCheckpoint(dirpath=folder, filename="run", every_n_train_steps=EVERY, enable_version_counter=False)
    module = fit(folder, pruner, Killer(kill_at), saver, ckpt_path=path if path.exists() else None)
    write(out, outcome(module, pruner))


@pytest.mark.parametrize("mode", ["feedback", "penalty"])
def test_killed_and_resumed_equals_never_killed(mode: str, tmp_path: Path) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.e2e.runs"])

    def run(folder: str, out: str, kill_at: int | None) -> int | None:
        (tmp_path / folder).mkdir(exist_ok=True)
        process = context.Process(target=killed, args=(mode, tmp_path / folder, tmp_path / out, kill_at))
        process.start()
        process.join(120)
        return process.exitcode

    assert run("whole", "expected", None) == 0
    assert run("broken", "found", KILLED_AT) == -signal.SIGKILL
    assert run("broken", "found", None) == 0
    assert list(differences(read(tmp_path / "expected"), read(tmp_path / "found"))) == []


def ranked(mode: str, folder: Path) -> None:
    """Ranks that differ in what they would draw and in their data."""
    torch.set_num_threads(1)
    stay_on_this_machine()
    kind = type(module_for(MODES[mode]()))

    class Ranked(kind):  # type: ignore[misc,valid-type]
        def setup(self, stage: str) -> None:
            torch.manual_seed(50 + self.global_rank)
            self.seen: list[Any] = []

        def train_dataloader(self) -> ResumableLoader:
            return ResumableLoader(*data(), batch_size=8, seed=3, rank=self.global_rank, world_size=WORLD)

        def on_train_start(self) -> None:
            self.seen.append(self.get_parameter(FIRST_WEIGHT).detach().clone())

        def on_train_batch_end(self, *_: Any) -> None:
            self.seen.append(self.bregman_pruner.get_current_lambda())

        def on_fit_end(self) -> None:
            weights = {name: value.clone() for name, value in self.state_dict().items()}
            write(folder / f"rank{self.global_rank}", {"seen": self.seen, "weights": weights, "lines": lines})

    lines: list[str] = []
    pruner = MODES[mode](verbose=1, echo=lines.append)
    settings: dict[str, Any] = {"devices": WORLD, "strategy": "ddp_fork", "max_epochs": 2}
    trainer_for(folder, [pruner], enable_checkpointing=False, limit_val_batches=0, **settings).fit(Ranked(pruner))


@pytest.mark.parametrize("mode", ["feedback", "penalty"])
def test_ranks_start_alike_and_keep_the_same_lambda(mode: str, tmp_path: Path) -> None:
    assert exit_codes(ranked, [(mode, tmp_path)]) == [0]
    one, other = read(tmp_path / "rank0"), read(tmp_path / "rank1")
    lines = one.pop("lines"), other.pop("lines")
    assert list(differences(one, other)) == []
    assert len(set(one["seen"][1:])) > 2 and bool(lines[0]) and not lines[1]
    zeros = float((one["seen"][0] == 0).float().mean())
    assert zeros == (START if mode == "feedback" else 0.0)
