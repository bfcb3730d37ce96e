"""Small training runs with dropout, for both front doors, that can be told to die at a step and to go on."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor, nn
from torch.nn import functional as F

from prunus.actions import Prune, Steer
from prunus.checkpoints import load_run, save_run, write
from prunus.integrations.lightning import Compression
from prunus.integrations.loop import ResumableLoader
from prunus.optim import AdaBreg
from prunus.policy import Policy
from prunus.recipes import opened
from prunus.regularizers import RegL1
from prunus.scheduler import CompressionScheduler
from prunus.schedules import Cubic
from prunus.steering import LambdaScheduler, SparsityBudget
from prunus.window import Window

EPOCHS, BATCHES, BATCH = 4, 7, 16
RECIPES = ("adabreg_budget", "adabreg_feedback", "adam_distiller", "adam_prune_epochs", "adam_prune_steps")
DISTILLER = """
version: 1
pruners:
  gradual:
    class: AutomatedGradualPruner
    initial_sparsity: 0.1
    final_sparsity: 0.75
    weights: [module.1.weight]
  half:
    class: SparsityLevelParameterPruner
    levels: {4.weight: 0.5}
regularizers:
  small:
    class: L1Regularizer
    reg_regims: {1.weight: 0.001}
lr_schedulers:
  fall:
    class: MultiStepLR
    milestones: [2]
    gamma: 0.5
policies:
  - pruner: {instance_name: gradual}
    starting_epoch: 0
    ending_epoch: 4
    frequency: 1
  - pruner:
      instance_name: half
      args: {mask_on_forward_only: true, use_double_copies: true, keep_mask: true, mini_batch_pruning_frequency: 3}
    epochs: [1, 2]
  - regularizer: {instance_name: small}
    starting_epoch: 0
    ending_epoch: 3
    frequency: 1
  - lr_scheduler: {instance_name: fall}
    starting_epoch: 0
    ending_epoch: 4
    frequency: 1
"""


def data() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    images = torch.rand(BATCH * BATCHES - 3, 8, 8, generator=generator)  # the last batch is smaller
    return images, (images[:, :, :4].sum(dim=(1, 2)) > images[:, :, 4:].sum(dim=(1, 2))).long()


def network() -> nn.Sequential:
    torch.manual_seed(7)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 24), nn.ReLU(), nn.Dropout(0.3), nn.Linear(24, 2))


def optimizer_of(recipe: str, model: nn.Module) -> torch.optim.Optimizer:
    if recipe.startswith("adabreg"):
        return AdaBreg(model.parameters(), lr=5e-3, reg=RegL1(0.02))
    return torch.optim.Adam(model.parameters(), lr=5e-3)


def policies_of(recipe: str) -> Any:
    return {
        "adam_distiller": lambda: DISTILLER,
        "adabreg_budget": lambda: [Steer(SparsityBudget(target=0.8, period=3))],
        "adabreg_feedback": lambda: [Steer(LambdaScheduler(initial_lambda=0.02, target_sparsity=0.8))],
        "adam_prune_epochs": lambda: [Prune(Cubic(0.9))],
        "adam_prune_steps": lambda: [Policy(Prune(Cubic(0.9)), Window(2, "0.9dur", 3, "step"))],
    }[recipe]()


def error_of(model: nn.Module) -> float:
    x, y = data()
    model.eval()
    with torch.no_grad():
        wrong = (model(x).argmax(1) != y).float().mean()
    model.train()
    return float(wrong)


def summary(model: nn.Module, optimizer: torch.optim.Optimizer, scheduler: CompressionScheduler) -> dict[str, Any]:
    """Everything that must be bit-identical: weights, duals and moments, λ, masks, counters, history, random state."""
    return {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "scheduler": scheduler.state_dict(),
        "masks": {name: scheduler.masks[name] for name in scheduler.masks},
        "random": torch.rand(4),
    }


def die_at(step: int, kill_at: int | None) -> None:
    if step == kill_at:
        os.kill(os.getpid(), signal.SIGKILL)


def plain(recipe: str, folder: Path, out: Path, every: int, kill_at: int | None) -> None:
    """The loop of the README, with a checkpoint every few steps."""
    torch.set_num_threads(1)
    model = network()
    optimizer = optimizer_of(recipe, model)
    loader = ResumableLoader(*data(), batch_size=BATCH, seed=3)
    scheduler = opened(policies_of(recipe)).scheduler(model, optimizer, steps_per_epoch=len(loader))
    torch.manual_seed(11)
    path = folder / "run.ckpt"
    parts: dict[str, Any] = {"model": model, "optimizer": optimizer, "scheduler": scheduler, "loader": loader}
    if path.exists():
        load_run(path, **parts)
    for _ in scheduler.epochs(EPOCHS):
        for x, y in loader:
            scheduler.step_begin()
            loss = scheduler.loss(F.cross_entropy(model(x), y))
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            die_at(scheduler.step, kill_at)
            if scheduler.step % every == 0:
                save_run(path, **parts)
        scheduler.epoch_end({"error": error_of(model)})
    write(out, summary(model, optimizer, scheduler))


class Module(LightningModule):
    """The same network and data behind Lightning's interface."""

    def __init__(self, recipe: str) -> None:
        super().__init__()
        self.recipe = recipe
        self.net = network()
        torch.manual_seed(11)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        return F.cross_entropy(self.net(batch[0]), batch[1])

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        self.log("val_loss", F.cross_entropy(self.net(batch[0]), batch[1]))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return optimizer_of(self.recipe, self)


class Killer(Callback):
    """Die when a batch is over, before a checkpoint of it is written."""

    def __init__(self, kill_at: int | None) -> None:
        self.kill_at = kill_at

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        die_at(trainer.global_step, self.kill_at)


def trainer_for(folder: Path, callbacks: list[Callback], **settings: Any) -> Trainer:
    usual: dict[str, Any] = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    usual |= {"max_epochs": EPOCHS, "default_root_dir": folder, "accelerator": "cpu", "devices": 1}
    return Trainer(callbacks=callbacks, **{**usual, **settings})


def lightning(recipe: str, folder: Path, out: Path, every: int, kill_at: int | None) -> None:
    """The same run in Lightning, resumed with nothing but ``ckpt_path``."""
    torch.set_num_threads(1)
    module, compression = Module(recipe), Compression(policies_of(recipe), root="net")
    saver = ModelCheckpoint(dirpath=folder, filename="run", every_n_train_steps=every, enable_version_counter=False)
    trainer = trainer_for(folder, [compression, Killer(kill_at), saver])
    path = folder / "run.ckpt"
    trainer.fit(
        module,
        ResumableLoader(*data(), batch_size=BATCH, seed=3),
        ResumableLoader(*data(), batch_size=BATCH, shuffle=False),
        ckpt_path=path if path.exists() else None,
    )
    assert compression.scheduler is not None
    write(out, summary(module, trainer.optimizers[0], compression.scheduler))
