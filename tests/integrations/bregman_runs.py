"""Small runs of BregmanPruner in both modes, on the network and the data of the end-to-end tests."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback
from torch import Tensor

from prunus.integrations.lightning import BregmanPruner
from prunus.integrations.loop import ResumableLoader
from prunus.optim import AdaBreg
from prunus.select import PruningManager
from prunus.steering import LambdaScheduler, SparsityBudget
from tests.e2e.runs import BATCH, Module, data, summary, trainer_for

FIRST_WEIGHT, LAST_WEIGHT = "net.1.weight", "net.4.weight"
START = 0.75
GROUPS = [
    {
        "name": "first",
        "module_name_patterns": [r"net\.1"],
        "param_names": ["weight"],
        "optimizer_settings": {"reg": "l1", "lambda_scale": 2.0},
        "pruning_config": {"sparsity_rate": START},
    },
    {
        "name": "last",
        "module_name_patterns": [r"net\.4"],
        "param_names": ["weight"],
        "optimizer_settings": {"reg": "l1"},
    },
]
"""Two groups of 1536 and 48 weights; the biases stay free."""

Maker = Callable[..., BregmanPruner]
feedback = partial(LambdaScheduler, 0.02, 0.8)
MODES: dict[str, Maker] = {
    "feedback": partial(BregmanPruner, lambda_scheduler=feedback, verbose=0),
    "budget": partial(BregmanPruner, lambda_scheduler=partial(SparsityBudget, 0.8, period=3), verbose=0),
    "static": partial(BregmanPruner, verbose=0),
    "penalty": partial(BregmanPruner, target_sparsity=0.8, initial_lambda=0.01, update_frequency=4),
}


class Bregman(Module):
    """The proximal mode: groups, sparse start and optimizer come from the pruning manager."""

    def __init__(self, pruner: BregmanPruner, groups: list[dict[str, Any]] | None = None) -> None:
        super().__init__("")
        self.bregman_pruner, self.groups = pruner, groups or GROUPS

    def configure_optimizers(self) -> torch.optim.Optimizer:
        self.pruning_manager = PruningManager(self, self.groups)
        return self.pruning_manager.build(AdaBreg, lr=5e-3)


class Charged(Module):
    """The penalty mode: the loss has the penalty in it."""

    def __init__(self, pruner: BregmanPruner) -> None:
        super().__init__("adam")
        self.bregman_pruner = pruner

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        return super().training_step(batch, batch_idx) + self.bregman_pruner.get_regularization_loss(self)


def module_for(pruner: BregmanPruner) -> Module:
    return Charged(pruner) if type(pruner.mode).__name__ == "Penalty" else Bregman(pruner)


def loader() -> ResumableLoader:
    return ResumableLoader(*data(), batch_size=BATCH, seed=3)


def fit(folder: Path, pruner: BregmanPruner, *others: Callback, module: Any = None, **settings: Any) -> Module:
    """Four epochs of seven steps, unless told otherwise."""
    module, ckpt_path = module or module_for(pruner), settings.pop("ckpt_path", None)
    settings.setdefault("enable_checkpointing", "Checkpoint" in str(others))
    trainer = trainer_for(folder, [pruner, *others], **settings)
    trainer.fit(module, loader(), ckpt_path=ckpt_path)
    return module


def outcome(module: Module, pruner: BregmanPruner) -> dict[str, Any]:
    assert pruner.scheduler is not None
    return summary(module, module.trainer.optimizers[0], pruner.scheduler)
