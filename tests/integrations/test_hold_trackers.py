"""HoldTrackers: what is off its target is not judged, and nothing is left behind."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from torch import Tensor, nn

from prunus.errors import SettingError
from prunus.integrations.lightning import HoldTrackers
from prunus.integrations.loop import ResumableLoader
from prunus.optim import LinBreg
from prunus.regularizers import RegL1

SPARSITY = [0.2, 0.9, 0.5, 0.9, 0.9]
"""At the end of each epoch; a dense epoch has the better metric."""


class Module(LightningModule):
    def __init__(self, bregman: bool) -> None:
        super().__init__()
        self.net, self.bregman = nn.Linear(10, 10), bregman

    def training_step(self, batch: tuple[Tensor], batch_idx: int) -> Tensor:
        return self.net(batch[0]).square().mean()

    def validation_step(self, batch: tuple[Tensor], batch_idx: int) -> None:
        weight = torch.ones(100)
        weight[: round(100 * SPARSITY[self.current_epoch])] = 0.0
        self.net.weight.data.copy_(weight.view(10, 10))
        self.log("valid/error", SPARSITY[self.current_epoch] - 0.01 * self.current_epoch)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        if not self.bregman:
            return torch.optim.SGD(self.parameters(), lr=0.0)
        groups = [{"params": [self.net.weight], "reg": RegL1(0.1)}, {"params": [self.net.bias]}]
        return LinBreg(groups, lr=0.0)


def fit(folder: Path, bregman: bool, *more: Callback) -> ModelCheckpoint:
    saver = ModelCheckpoint(folder, "{epoch}", monitor="valid/error", save_last=True)
    settings = {"accelerator": "cpu", "logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = Trainer(callbacks=[*more, saver], max_epochs=len(SPARSITY), num_sanity_val_steps=0, **settings)
    loader = ResumableLoader(torch.zeros(4, 10), batch_size=2, shuffle=False)
    trainer.fit(Module(bregman), loader, loader)
    return saver


@pytest.mark.parametrize("bregman", [False, True])
def test_the_best_is_the_best_of_those_on_target(bregman: bool, tmp_path: Path) -> None:
    saver = fit(tmp_path, bregman, HoldTrackers(0.9))
    assert Path(saver.best_model_path).name == "epoch=4.ckpt"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["epoch=4.ckpt", "last.ckpt"]
    assert Path(fit(tmp_path / "free", bregman).best_model_path).name == "epoch=0.ckpt"


def test_early_stopping_does_not_count_what_it_may_not_see(tmp_path: Path) -> None:
    stopping = EarlyStopping("valid/error", patience=5)
    fit(tmp_path, False, HoldTrackers(0.9), stopping)
    assert (stopping.wait_count, float(stopping.best_score)) == (0, pytest.approx(0.86))


def test_a_target_that_is_never_met_leaves_no_best_but_the_last(tmp_path: Path) -> None:
    saver = fit(tmp_path, False, HoldTrackers(0.99, tolerance=0.0))
    assert saver.best_model_path == "" and (tmp_path / "last.ckpt").exists()


def test_nothing_is_left_of_the_hold(tmp_path: Path) -> None:
    stopping = EarlyStopping("valid/error", patience=5)
    holder = HoldTrackers(0.9)
    saver = fit(tmp_path, False, holder, stopping)
    for tracker, name in ((stopping, "on_validation_end"), (saver, "_save_topk_checkpoint")):
        assert name not in vars(tracker)
    assert holder._trackers is None


@pytest.mark.parametrize("settings", [{"target_sparsity": 90}, {"target_sparsity": 0.9, "tolerance": -0.1}])
def test_settings_are_checked(settings: dict[str, float]) -> None:
    with pytest.raises(SettingError):
        HoldTrackers(**settings)
