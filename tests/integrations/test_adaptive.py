"""Adaptive in Lightning: it reads what the module logged in this epoch, and resumes from every checkpoint."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint

from prunus.actions import Adaptive, Prune
from prunus.integrations.lightning import Compression
from prunus.integrations.lightning.epoch_figures import EpochFigures
from prunus.schedules import Linear
from prunus.scopes import PerLayer
from tests.e2e.comparing import differences
from tests.e2e.runs import Module, summary, trainer_for
from tests.integrations.test_lightning import both_loaders, torch_loaders
from tests.twins import sensitivity as twin

pytestmark = [
    pytest.mark.filterwarnings("ignore:Adaptive"),
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:.*callbacks used to create the checkpoint"),
    pytest.mark.filterwarnings("ignore:.*exists and is not empty"),
]


def adaptive(metric: str = "val_loss") -> list[Any]:
    return [Adaptive(Prune(Linear(0.9), scope=PerLayer()), metric, budget=0.0, mode="min", step=0.3)]


def fit(folder: Path, *others: Any, loaders: Any = both_loaders, ckpt_path: Any = None, **settings: Any) -> Any:
    callback, module = Compression(adaptive()), Module("adam_prune_epochs")
    trainer = trainer_for(folder, [callback, *others], enable_checkpointing=bool(others), **settings)
    trainer.fit(module, *loaders(), ckpt_path=ckpt_path)
    assert callback.scheduler is not None
    return callback.scheduler, summary(module, trainer.optimizers[0], callback.scheduler)


def test_it_follows_the_logged_metric(tmp_path: Path) -> None:
    scheduler, _ = fit(tmp_path)
    losses = [row["val_loss"] for row in scheduler.history]
    path = [row["adaptive_progress"] for row in scheduler.history]
    assert path == pytest.approx(twin.pace(losses, budget=0.0, step=0.3, mode="min"))
    assert len(set(path)) > 1


@pytest.mark.parametrize("when", ["end of validation", "end of epoch"])
def test_it_resumes_from_every_checkpoint(when: str, tmp_path: Path) -> None:
    """At the end of a validation the epoch has not ended; what was logged so far is in the checkpoint."""
    settings = {"save_on_train_epoch_end": True} if when == "end of epoch" else {}
    saver = ModelCheckpoint(dirpath=tmp_path, filename="{step:03d}", save_top_k=-1, **settings)
    _, whole = fit(tmp_path, saver, loaders=torch_loaders)
    paths = sorted(tmp_path.glob("*.ckpt"))[:-1]
    assert len(paths) == 3
    for path in paths:
        _, found = fit(tmp_path, loaders=torch_loaders, ckpt_path=path)
        assert list(differences(whole, found)) == [], path.name


def test_a_validation_every_other_epoch_counts_once(tmp_path: Path) -> None:
    """Lightning goes on showing the last figure; it is no new one."""
    scheduler, _ = fit(tmp_path, check_val_every_n_epoch=2)
    told = [row.get("val_loss") for row in scheduler.history]
    assert [value is None for value in told] == [True, False, True, False]
    path = [row["adaptive_progress"] for row in scheduler.history]
    assert path == twin.pace(told, budget=0.0, step=0.3, mode="min") == [0, 0, 0.3, 0.3]


def test_figures_of_our_own_are_left_out() -> None:
    figures, shown = EpochFigures(("prunus/",)), SimpleNamespace()
    shown.callback_metrics = {"a": torch.tensor(1.0), "prunus/sparsity": torch.tensor(0.5), "many": torch.ones(2)}
    assert figures.take(shown) == {"a": 1.0}  # type: ignore[arg-type]
    figures.clear(shown)  # type: ignore[arg-type]
    assert figures.take(shown) == {}  # type: ignore[arg-type]
    shown.callback_metrics |= {"b": torch.tensor(2.0)}
    assert figures.take(shown) == {"b": 2.0}  # type: ignore[arg-type]
