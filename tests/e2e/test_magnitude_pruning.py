"""Real images: a ramp that is interrupted ends in the same weights, and nothing judges the model before its end."""

from __future__ import annotations

import shutil
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from torch import Tensor, nn
from torch.nn import functional as F

from prunus.integrations.lightning import MagnitudePruner
from prunus.integrations.loop import ResumableLoader
from prunus.tasks.vision import digits
from prunus.tasks.vision.images import ImageSet
from tests.e2e.comparing import differences
from tests.e2e.runs import trainer_for

pytest.importorskip("mlxtend")
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*callbacks used to create the checkpoint"),
    pytest.mark.filterwarnings("ignore:.*exists and is not empty"),
    pytest.mark.filterwarnings("ignore:.*dirpath has changed"),
]
RAMP, EPOCHS, GOAL = 4, 6, 0.9
WEIGHTS = ("net.1.weight", "net.4.weight")


@cache
def images() -> ImageSet:
    return digits.load().take(train=600, test=300)


class Digits(LightningModule):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(4)
        layers = (nn.Flatten(), nn.Linear(784, 32), nn.ReLU(), nn.Dropout(0.2), nn.Linear(32, 10))
        self.net = nn.Sequential(*layers)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        return F.cross_entropy(self.net(batch[0]), batch[1])

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        guess = self.net(batch[0])
        self.log("accuracy", (guess.argmax(1) == batch[1]).float().mean())
        self.log("val_loss", F.cross_entropy(guess, batch[1]))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), lr=3e-3)


class Copying(Callback):
    """Keeps every ``last.ckpt``, as a backup would, and notes when ``best.ckpt`` appeared."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.best: list[bool] = []

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.best.append((self.folder / "best.ckpt").exists())
        if (self.folder / "last.ckpt").exists():
            shutil.copy(self.folder / "last.ckpt", self.folder / f"after{trainer.current_epoch}.ckpt")


def run(folder: Path, ckpt_path: Path | None = None) -> tuple[Digits, EarlyStopping, Copying]:
    """Patience 1 on a loss that the cuts drive up, so that stopping in the ramp would be certain."""
    folder.mkdir()
    stopping = EarlyStopping("val_loss", patience=1, min_delta=10.0)
    saver = ModelCheckpoint(dirpath=folder, filename="best", monitor="accuracy", mode="max", save_last=True)
    pruner = MagnitudePruner(amount=GOAL, scheduled_pruning=True, schedule_type="cubic", epochs_to_ramp=RAMP, verbose=0)
    module, copying, data = Digits(), Copying(folder), images()
    torch.manual_seed(6)
    trainer_for(folder, [stopping, pruner, saver, copying], max_epochs=EPOCHS).fit(
        module,
        ResumableLoader(data.train_images, data.train_labels, batch_size=50, seed=1),
        ResumableLoader(data.test_images, data.test_labels, batch_size=100, shuffle=False),
        ckpt_path=ckpt_path,
    )
    return module, stopping, copying


def zeros(state: dict[str, Tensor]) -> int:
    return sum(int((state[name] == 0).sum()) for name in WEIGHTS)


def test_a_ramp_on_real_images(tmp_path: Path) -> None:
    module, stopping, copying = run(tmp_path / "whole")
    assert copying.best == [False, False, False, False, True], "best.ckpt after the first epoch at the target only"
    assert module.trainer.current_epoch == stopping.stopped_epoch + 1 == 5, "one look at the target, one without gain"
    goal = int(GOAL * (784 * 32 + 32 * 10))
    best: dict[str, Any] = torch.load(tmp_path / "whole/best.ckpt", weights_only=True)
    assert zeros(best["state_dict"]) == zeros(module.state_dict()) == goal
    assert float(module.trainer.callback_metrics["accuracy"]) > 0.75
    for epoch in range(1, 5):
        resumed, again, _ = run(tmp_path / f"from{epoch}", tmp_path / f"whole/after{epoch}.ckpt")
        assert list(differences(dict(module.state_dict()), dict(resumed.state_dict()))) == [], epoch
        assert again.state_dict() == stopping.state_dict()
