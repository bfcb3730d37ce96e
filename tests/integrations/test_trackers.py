"""Trackers do not see the ramp: nothing saved, stopped or slowed down by it, whenever they would have looked."""

from __future__ import annotations

import math
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint

from prunus.errors import NoEffect, SelectionError
from prunus.integrations.lightning import MagnitudePruner, SafeModelPruning
from prunus.integrations.lightning.trackers import Trackers
from tests.integrations.pruning_runs import WEIGHTS, Pictures, fit

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*callbacks used to create the checkpoint"),
    pytest.mark.filterwarnings("ignore:.*exists and is not empty"),
]
RISING = [float(score) for score in range(1, 40)]  # the first, in the ramp, is the best for ever
TOTAL = sum(WEIGHTS.values())


def ramp(epochs: int = 3, **settings: Any) -> MagnitudePruner:
    return MagnitudePruner(amount=0.75, scheduled_pruning=True, epochs_to_ramp=epochs, **settings)


def saver(folder: Path, name: str, **settings: Any) -> ModelCheckpoint:
    settings = {"monitor": "score", "filename": "best", **settings}
    return ModelCheckpoint(dirpath=folder / name, enable_version_counter=False, **settings)


def zeros_of(path: Path) -> int:
    weights = torch.load(path, weights_only=True)["state_dict"]
    return sum(int((weights[name] == 0).sum()) for name in WEIGHTS)


class Files(Callback):
    """Notes which checkpoints there are at the begin of every epoch, and what the trackers remember."""

    def __init__(self, folder: Path, *savers: ModelCheckpoint) -> None:
        self.folder, self.savers = folder, savers
        self.seen: list[set[str]] = []
        self.states: list[list[Any]] = []

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.seen.append({path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*.ckpt")})
        self.states.append(
            [(one.best_model_path, one.best_model_score, dict(one.best_k_models)) for one in self.savers]
        )


def test_nothing_is_tracked_before_the_target_and_everything_from_then_on(tmp_path: Path) -> None:
    """D17: validation runs before the end of the epoch; one monitor twice, and None, do not collide."""
    savers = [
        saver(tmp_path, "a", save_last=True),
        saver(tmp_path, "b", every_n_epochs=2, save_top_k=2, filename="{epoch}"),
        saver(tmp_path, "c", monitor=None, filename="{epoch}", save_top_k=-1),
        saver(tmp_path, "d", every_n_train_steps=1, filename="{step}", save_on_train_epoch_end=False),
    ]
    stopping, files = EarlyStopping("score", patience=2), Files(tmp_path, *savers)
    fit(tmp_path, [stopping, files, ramp(), *savers], Pictures(RISING), max_epochs=5)
    assert files.seen[:3] == [set(), {"a/last.ckpt"}, {"a/last.ckpt"}]
    assert files.states[:3] == [[("", None, {})] * 4] * 3
    assert {"a/best.ckpt", "c/epoch=2.ckpt"} <= files.seen[3]
    assert {path.name for path in (tmp_path / "c").iterdir()} == {"epoch=2.ckpt", "epoch=3.ckpt", "epoch=4.ckpt"}
    assert float(savers[0].best_model_score or 0) == 3.0, "the score of the first epoch at the target"
    assert zeros_of(tmp_path / "a/best.ckpt") == TOTAL * 3 // 4
    assert set(savers[1].best_k_models) == {str(path) for path in (tmp_path / "b").iterdir()}, "no orphans"
    assert all(zeros_of(path) == TOTAL * 3 // 4 for path in tmp_path.rglob("*.ckpt"))
    assert stopping.stopped_epoch == 4 and stopping.wait_count == 2


@pytest.mark.parametrize("place", [0, 1, 2], ids=["first", "middle", "last"])
def test_early_stopping_waits_wherever_the_pruner_stands(place: int, tmp_path: Path) -> None:
    trackers: list[Callback] = [EarlyStopping("score", patience=1), EarlyStopping("val_loss", stopping_threshold=1e9)]
    trackers.insert(place, ramp(4))
    module = fit(tmp_path, trackers, Pictures(RISING), max_epochs=9)
    assert module.trainer.current_epoch == 4, "the threshold is met at the first look, in epoch 3"
    assert [one.wait_count for one in trackers if isinstance(one, EarlyStopping)] == [0, 0]


def test_a_score_that_is_not_there_or_not_finite_does_no_harm_in_the_ramp(tmp_path: Path) -> None:
    trackers = [EarlyStopping("score", check_finite=True), saver(tmp_path, "a", save_last=True)]
    scores = [math.nan, math.inf, 5.0, 4.0]
    module = fit(tmp_path, [*trackers, ramp()], Pictures(scores), max_epochs=4)
    assert module.trainer.current_epoch == 4 and float(trackers[0].best_score) == 4.0
    with pytest.raises(RuntimeError, match="score.*not available"):
        fit(tmp_path, [EarlyStopping("score"), ramp()], Pictures(), max_epochs=4)


@pytest.mark.parametrize("settings", [{"val_check_interval": 0.34}, {"val_check_interval": 2}], ids=["every", "second"])
def test_validation_inside_the_epoch_is_held_back_too(settings: dict[str, Any], tmp_path: Path) -> None:
    scores, inside = list(RISING), 3 if settings["val_check_interval"] < 1 else 1
    savers = [saver(tmp_path, "a", save_last=True), saver(tmp_path, "b", every_n_train_steps=1, save_top_k=-1)]
    savers[1].filename = "{step}"
    stopping, files = EarlyStopping("score", patience=1), Files(tmp_path, *savers)
    fit(tmp_path, [stopping, ramp(), files, *savers], Pictures(scores), max_epochs=6, **settings)
    assert all({"a/last.ckpt"} <= seen <= {"a/last.ckpt", "b/last.ckpt"} for seen in files.seen[1:3])
    first_at_target = scores[2 * inside]
    assert float(savers[0].best_model_score or 0) == first_at_target
    assert zeros_of(tmp_path / "a/best.ckpt") == TOTAL * 3 // 4
    assert float(stopping.best_score) == first_at_target


def test_a_score_from_the_ramp_is_not_taken_for_one_of_the_target(tmp_path: Path) -> None:
    """Validation every second epoch: when the target is reached in epoch 2, the score at hand is that of epoch 1."""
    trackers = [
        saver(tmp_path, "a", every_n_train_steps=1, filename="{step}", save_top_k=-1),
        EarlyStopping("score", check_on_train_epoch_end=True, patience=1),
    ]
    fit(tmp_path, [ramp(), *trackers], Pictures(RISING), max_epochs=4, check_val_every_n_epoch=2)
    assert {path.name for path in (tmp_path / "a").iterdir()} == {"step=12.ckpt"}
    assert float(trackers[1].best_score) == 2.0 and trackers[1].wait_count == 0


def test_train_metrics_of_the_first_epoch_at_the_target_count(tmp_path: Path) -> None:
    one = saver(tmp_path, "a", monitor="train_loss", filename="{epoch}", save_top_k=-1)
    fit(tmp_path, [ramp(), one], max_epochs=4, limit_val_batches=0)
    assert {path.name for path in (tmp_path / "a").iterdir()} == {"epoch=2.ckpt", "epoch=3.ckpt"}


@pytest.mark.parametrize("save_last", [True, "link"])
@pytest.mark.parametrize("saving", [{}, {"every_n_train_steps": 2}, {"save_on_train_epoch_end": False}])
def test_last_is_written_as_ever(save_last: Any, saving: dict[str, Any], tmp_path: Path) -> None:
    """As often as without pruning, each time anew, and loadable."""

    class Steps(Callback):
        def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
            path = tmp_path / name / "last.ckpt"
            found.append(torch.load(path, weights_only=True)["global_step"] if path.exists() else None)

    runs = []
    for name, callbacks in (("pruned", [ramp(3)]), ("dense", [])):
        found: list[int | None] = []
        kept = saver(tmp_path, name, save_last=save_last, monitor=None, **saving)
        fit(tmp_path, [*callbacks, Steps(), kept], max_epochs=5)
        runs.append(found)
    assert runs[0] == runs[1] and runs[0][1] is not None


def test_the_learning_rate_is_not_reduced_for_the_ramp(tmp_path: Path) -> None:
    class Rates(Callback):
        def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
            found.append(trainer.optimizers[0].param_groups[0]["lr"])

    found: list[float] = []
    module = fit(tmp_path, [ramp(), Rates()], Pictures(RISING, plateau=True), max_epochs=6)
    assert found == [1e-2] * 4 + [5e-3, 2.5e-3]
    assert module.trainer.lr_scheduler_configs[0].frequency == 1
    assert type(module.trainer.lr_scheduler_configs[0].frequency) is int


def test_trackers_can_be_left_alone(tmp_path: Path) -> None:
    one = saver(tmp_path, "a")
    fit(tmp_path, [ramp(hold_trackers=False), one], Pictures(RISING), max_epochs=4)
    assert float(one.best_model_score or 0) == 1.0


def test_a_cut_at_the_end_of_an_epoch_waits_for_the_next_validation(tmp_path: Path) -> None:
    """The score of epoch 2 is that of the weights before the last cut."""
    one = saver(tmp_path, "a")
    pruner = SafeModelPruning(
        scheduled_pruning=True, final_amount=0.75, epochs_to_ramp=2, prune_on_train_epoch_end=True
    )
    fit(tmp_path, [one, pruner], Pictures(RISING), max_epochs=5)
    assert float(one.best_model_score or 0) == 4.0 and zeros_of(tmp_path / "a/best.ckpt") == TOTAL * 3 // 4


def test_a_target_in_the_middle_of_an_epoch_counts_from_there(tmp_path: Path) -> None:
    one = saver(tmp_path, "a")
    fit(tmp_path, [ramp(2, granularity="steps", every_n_steps=2), one], Pictures(RISING), max_epochs=4)
    assert float(one.best_model_score or 0) == 2.0


@pytest.mark.parametrize("stop_after", [1, 2, 3, 4])
def test_a_resumed_run_holds_what_the_saved_one_held(stop_after: int, tmp_path: Path) -> None:
    class Stop(Callback):
        def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
            trainer.should_stop = trainer.current_epoch + 1 >= stop_after

    def trackers(name: str) -> list[Any]:
        return [EarlyStopping("score", patience=1), saver(tmp_path, name, save_last=True)]

    whole = trackers("whole")
    fit(tmp_path, [*whole, ramp()], Pictures(RISING), max_epochs=6)
    first, second = trackers("parts"), trackers("parts")
    with pytest.warns(NoEffect, match="left at") if stop_after < 3 else nullcontext():
        fit(tmp_path, [*first, Stop(), ramp()], Pictures(RISING), max_epochs=6)
    assert (tmp_path / "parts/best.ckpt").exists() is (stop_after >= 3)
    rest = Pictures(RISING[stop_after:])
    if stop_after < 4:
        fit(tmp_path, [*second, ramp()], rest, max_epochs=6, ckpt_path=tmp_path / "parts/last.ckpt")
        assert second[0].state_dict() == whole[0].state_dict()
        assert second[1].best_model_score == whole[1].best_model_score == 3.0
    assert zeros_of(tmp_path / "parts/last.ckpt") == TOTAL * 3 // 4


def test_two_pruners_have_both_to_reach_their_target(tmp_path: Path) -> None:
    one = saver(tmp_path, "a")
    settings = {"scheduled_pruning": True, "final_amount": 0.5, "epochs_to_ramp": 4}
    slow = SafeModelPruning(parameters_to_prune=["head.weight"], **settings)
    quick = ramp(2, parameters_to_prune=["conv.weight"])
    module = fit(tmp_path, [quick, slow, one], Pictures(RISING, plateau=True), max_epochs=6)
    assert float(one.best_model_score or 0) == 5.0
    assert not any(isinstance(value, Trackers) for value in vars(one).values())
    assert type(module.trainer.lr_scheduler_configs[0].frequency) is int


def test_trackers_are_left_as_they_were_found_even_by_a_run_that_fails(tmp_path: Path) -> None:
    def untouched() -> bool:
        return all(name not in vars(one) for one in trackers for name in ("_save_topk_checkpoint", "on_validation_end"))

    trackers: list[Callback] = [EarlyStopping("score"), saver(tmp_path, "a")]
    fit(tmp_path, [*trackers, ramp()], Pictures(RISING), max_epochs=4)
    assert untouched()
    with pytest.raises(SelectionError):
        fit(tmp_path, [*trackers, ramp(parameters_to_prune=["nothing"])], Pictures(RISING), max_epochs=4)
    assert untouched()
    fit(tmp_path, trackers, Pictures(RISING), max_epochs=1)
    assert float(trackers[1].best_model_score) == 1.0  # type: ignore[attr-defined]
