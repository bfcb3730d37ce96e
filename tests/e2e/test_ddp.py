"""Two processes that average their gradients hold the same weights and the same masks after every epoch."""

from __future__ import annotations

import multiprocessing
import os
import socket
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel

from prunus.checkpoints import read, write
from prunus.integrations.loop import ResumableLoader
from prunus.scheduler import CompressionScheduler
from tests.e2e import runs
from tests.e2e.comparing import differences

WORLD = 2


def worker(rank: int, port: int, recipe: str, folder: Path) -> None:
    torch.set_num_threads(1)
    if sys.platform == "linux":
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")  # a machine may have no route to its own name
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


def free_port() -> int:
    """Ask the system for a port; the master's store takes it a moment later."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("recipe", ["adabreg_budget", "adam_prune_epochs"])
def test_ranks_agree_after_every_epoch(recipe: str, tmp_path: Path) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.e2e.runs"])
    port = free_port()
    processes = [context.Process(target=worker, args=(rank, port, recipe, tmp_path)) for rank in range(WORLD)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0, 0]
    one, other = read(tmp_path / "rank0"), read(tmp_path / "rank1")
    assert list(differences(one, other)) == []
    assert len(one["epochs"]) == runs.EPOCHS
    assert 0.75 < one["history"][-1]["sparsity"] <= 0.9
