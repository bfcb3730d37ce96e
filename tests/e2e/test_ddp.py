"""Two processes that average their gradients agree in weights and masks after every epoch, and resume exactly."""

from __future__ import annotations

import socket
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from lightning.pytorch.callbacks import ModelCheckpoint
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel

from prunus.checkpoints import read, write
from prunus.integrations.lightning import Compression, MagnitudePruner
from prunus.integrations.loop import ResumableLoader
from prunus.scheduler import CompressionScheduler
from tests.e2e import runs
from tests.e2e.comparing import differences
from tests.ranks import exit_codes, stay_on_this_machine

WORLD = 2


def worker(rank: int, port: int, recipe: str, folder: Path) -> None:
    torch.set_num_threads(1)
    stay_on_this_machine()
    store = dist.TCPStore("127.0.0.1", port, WORLD, rank == 0, timedelta(seconds=60))
    dist.init_process_group("gloo", store=store, rank=rank, world_size=WORLD)
    model = runs.network()
    parallel = DistributedDataParallel(model)
    optimizer = runs.optimizer_of(recipe, model)
    loader = ResumableLoader(*runs.data(), batch_size=runs.BATCH, seed=3, rank=rank, world_size=WORLD)
    scheduler = CompressionScheduler(model, runs.policies_of(recipe), optimizer=optimizer, steps_per_epoch=len(loader))
    torch.manual_seed(rank)  # dropout differs between the ranks, as it does in real runs
    epochs: list[Any] = []
    for _ in scheduler.epochs(runs.EPOCHS):
        for x, y in loader:
            scheduler.loss(F.cross_entropy(parallel(x), y)).backward()
            optimizer.step()
            optimizer.zero_grad()
        scheduler.epoch_end()
        weights = {name: value.clone() for name, value in model.state_dict().items()}
        masks = {name: scheduler.masks[name] for name in scheduler.masks}
        epochs.append({"weights": weights, "masks": masks, "optimizer": optimizer.state_dict()["param_groups"]})
    write(folder / f"rank{rank}", {"epochs": epochs, "history": scheduler.history})
    dist.destroy_process_group()


class Ranked(runs.Module):
    """A module whose ranks differ in data and dropout, and that writes what each of them ends with."""

    def __init__(self, recipe: str, folder: Path, compression: Compression) -> None:
        super().__init__(recipe)
        self.folder, self.compression = folder, compression
        self.masks: list[dict[str, Any]] = []

    def train_dataloader(self) -> ResumableLoader:
        return ResumableLoader(*runs.data(), batch_size=8, seed=3, rank=self.global_rank, world_size=WORLD)

    def on_train_start(self) -> None:
        if self.global_step == 0:
            torch.manual_seed(50 + self.global_rank)

    def on_train_epoch_end(self) -> None:
        assert self.compression.scheduler is not None
        masks = self.compression.scheduler.masks
        self.masks.append({name: masks[name] for name in masks})

    def on_fit_end(self) -> None:
        assert self.compression.scheduler is not None
        write(self.folder / f"masks{self.global_rank}", {"epochs": self.masks})
        found = runs.summary(self, self.trainer.optimizers[0], self.compression.scheduler)
        write(self.folder / f"rank{self.global_rank}", found)


def feedback() -> tuple[str, Compression]:
    return "adabreg_feedback", Compression(runs.policies_of("adabreg_feedback"))


def by_magnitude() -> tuple[str, Compression]:
    settings: dict[str, Any] = {"scheduled_pruning": True, "epochs_to_ramp": 2, "min_param_elements": 1}
    return "adam", MagnitudePruner(amount=0.8, hold_trackers=False, **settings)


def by_chance() -> tuple[str, Compression]:
    settings: dict[str, Any] = {"scheduled_pruning": True, "epochs_to_ramp": 2, "min_param_elements": 1}
    return "adam", MagnitudePruner("random_structured", 0.5, pruning_dim=1, hold_trackers=False, **settings)


def lightning_worker(folder: Path, ckpt_path: Path | None, make: Callable[[], tuple[str, Compression]]) -> None:
    torch.set_num_threads(1)
    stay_on_this_machine()
    recipe, compression = make()
    saver = ModelCheckpoint(dirpath=folder, filename="{step}", every_n_train_steps=9, save_top_k=-1)
    settings: dict[str, Any] = {"devices": WORLD, "strategy": "ddp_fork", "max_epochs": 3, "limit_val_batches": 0}
    trainer = runs.trainer_for(folder, [compression, saver], **settings)
    trainer.fit(Ranked(recipe, folder, compression), ckpt_path=ckpt_path)


def free_port() -> int:
    """Ask the system for a port; the master's store takes it a moment later."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("recipe", ["adabreg_budget", "adam_prune_epochs"])
def test_ranks_agree_after_every_epoch(recipe: str, tmp_path: Path) -> None:
    port = free_port()
    assert exit_codes(worker, [(rank, port, recipe, tmp_path) for rank in range(WORLD)]) == [0, 0]
    one, other = read(tmp_path / "rank0"), read(tmp_path / "rank1")
    assert list(differences(one, other)) == []
    assert len(one["epochs"]) == runs.EPOCHS
    assert 0.75 < one["history"][-1]["sparsity"] <= 0.9


@pytest.mark.parametrize("make", [feedback, by_magnitude, by_chance])
def test_ranks_of_a_lightning_run_agree_in_every_epoch_and_resume_with_their_own_random_state(
    make: Callable[[], tuple[str, Compression]], tmp_path: Path
) -> None:
    for folder, ckpt_path in (("whole", None), ("resumed", tmp_path / "whole" / "step=9.ckpt")):
        (tmp_path / folder).mkdir()
        assert exit_codes(lightning_worker, [(tmp_path / folder, ckpt_path, make)]) == [0]
    for rank in ("rank0", "rank1"):
        assert list(differences(read(tmp_path / "whole" / rank), read(tmp_path / "resumed" / rank))) == []
    ends = [read(tmp_path / "whole" / rank) for rank in ("rank0", "rank1")]
    assert list(differences(*ends)) == [".random: tensors differ"]
    masks = [read(tmp_path / "whole" / f"masks{rank}") for rank in range(WORLD)]
    assert list(differences(*masks)) == [] and len(masks[0]["epochs"]) == 3
    assert all(masks[0]["epochs"]) is (make is not feedback)
