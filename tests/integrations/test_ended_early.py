"""Runs that end before their schedule does: said once, what was missed, in every loop; nothing is made good at once."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import EMAWeightAveraging, StochasticWeightAveraging
from torch.nn import functional as F
from transformers import TrainerCallback

from prunus.actions import Prune, Steer
from prunus.errors import NoEffect
from prunus.integrations import lightning, transformers
from prunus.measure import sparsity
from prunus.policy import Policy
from prunus.scheduler import CompressionScheduler
from prunus.schedules import Linear
from prunus.steering import LambdaScheduler, QuantileLambda, SparsityBudget
from prunus.window import Window
from tests.e2e import hf_runs, runs
from tests.e2e.runs import BATCH, BATCHES, EPOCHS, data, network

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:.*have no `val_dataloader`"),
]
BY_EPOCHS = Policy(Prune(Linear(0.9)))
BY_STEPS = Policy(Prune(Linear(0.9)), Window(unit="step"))
ACTIONS: dict[str, tuple[str, Any]] = {
    "epochs": ("adam", lambda: BY_EPOCHS),
    "steps": ("adam", lambda: BY_STEPS),
    "budget": ("adabreg", lambda: Steer(SparsityBudget(0.9, period=3))),
    "feedback": ("adabreg", lambda: Steer(LambdaScheduler(1e-3, 0.9))),
    "quantile": ("adabreg", lambda: Steer(QuantileLambda(0.9, Linear(0.9)))),
}
SAID = "was left at sparsity .* of 0.9 when the run ended|steering ended at the sparsity"


class Stopping(Callback):
    """Do something after a step, such as asking for the end."""

    def __init__(self, step: int, act: Callable[[Trainer], None]) -> None:
        self.step, self.act = step, act

    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, *rest: Any) -> None:
        if trainer.global_step == self.step:
            self.act(trainer)


def said(caught: Iterable[Any]) -> int:
    return sum(issubclass(warning.category, NoEffect) for warning in caught)


def stop(trainer: Trainer) -> None:
    trainer.should_stop = True


def fit(folder: Path, recipe: str, action: Any, *others: Callback, **settings: Any) -> CompressionScheduler:
    compression = lightning.Compression([action])
    trainer = runs.trainer_for(folder, [compression, *others], enable_checkpointing=False, **settings)
    rows = torch.utils.data.TensorDataset(*data())
    module = runs.Module("adabreg_feedback" if recipe == "adabreg" else "adam_prune_epochs")
    trainer.fit(module, torch.utils.data.DataLoader(rows, batch_size=BATCH))
    assert compression.scheduler is not None
    return compression.scheduler


@pytest.mark.parametrize("name", ACTIONS)
@pytest.mark.parametrize("step", [BATCHES, BATCHES + 2], ids=["after an epoch", "inside one"])
def test_lightning_says_once_what_was_missed(name: str, step: int, tmp_path: Path) -> None:
    recipe, action = ACTIONS[name]
    with pytest.warns(NoEffect, match=SAID) as caught:
        fit(tmp_path, recipe, action(), Stopping(step, stop))
    assert said(caught) == 1


def test_the_first_process_alone_says_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Trainer, "is_global_zero", False)
    fit(tmp_path, "adam", BY_EPOCHS, Stopping(BATCHES, stop))


def test_what_was_reached_before_the_stop_is_not_missed(tmp_path: Path) -> None:
    assert fit(tmp_path, "adam", Policy(Prune(Linear(0.9)), Window(0, 2)), Stopping(BATCHES + 1, stop)).epoch == 2


def test_the_end_of_max_steps_counts_too(tmp_path: Path) -> None:
    with pytest.warns(NoEffect, match="was left at sparsity") as caught:
        fit(tmp_path, "adam", Policy(Prune(Linear(0.9)), Window(0, 20, unit="step")), max_steps=10, max_epochs=-1)
    assert said(caught) == 1


@pytest.mark.parametrize("fault", [KeyboardInterrupt, ZeroDivisionError])
def test_a_fault_is_not_drowned_out(fault: type[BaseException], tmp_path: Path) -> None:
    def fail(trainer: Trainer) -> None:
        raise fault

    with warnings.catch_warnings(), pytest.raises((SystemExit, fault)):
        warnings.simplefilter("error", NoEffect)
        fit(tmp_path, "adam", BY_EPOCHS, Stopping(BATCHES, fail))


@pytest.mark.parametrize("stop_at", [3, BATCHES])
def test_a_goal_is_not_made_good_where_nothing_follows(stop_at: int, tmp_path: Path) -> None:
    """A run of one epoch that stops inside it would prune to its goal at once, with no step behind."""
    with pytest.warns(NoEffect, match="left at") if stop_at < BATCHES else warnings.catch_warnings():
        scheduler = fit(tmp_path, "adam", BY_STEPS, Stopping(stop_at, stop), max_epochs=1)
    asked = scheduler.history[-1]["asked_sparsity"]
    assert asked == pytest.approx(0.9 * (stop_at - 1) / (BATCHES - 1))


class HFStopping(TrainerCallback):
    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        control.should_training_stop = control.should_training_stop or state.global_step == self.step


def hf_fit(folder: Path, action: Any, step: int, *others: TrainerCallback) -> CompressionScheduler:
    compression = transformers.Compression([action])
    hf_runs.trainer_for(folder, "adam", [*others, compression, HFStopping(step)], save_strategy="no").train()
    assert compression.scheduler is not None
    return compression.scheduler


@pytest.mark.parametrize("action", [BY_EPOCHS, BY_STEPS], ids=["epochs", "steps"])
@pytest.mark.parametrize("step", [2 * BATCHES, 2 * BATCHES + 3], ids=["after an epoch", "inside one"])
def test_trainer_says_once_what_was_missed(action: Policy, step: int, tmp_path: Path) -> None:
    with pytest.warns(NoEffect, match=SAID) as caught:
        assert hf_fit(tmp_path, action, step).step == step
    assert said(caught) == 1


def test_the_first_process_of_trainer_alone_says_it(tmp_path: Path) -> None:
    class Second(TrainerCallback):
        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            state.is_world_process_zero = False

    hf_fit(tmp_path, BY_EPOCHS, BATCHES, Second())


def test_a_stop_inside_the_last_epoch_of_trainer_makes_nothing_good(tmp_path: Path) -> None:
    with pytest.warns(NoEffect, match="left at sparsity"):
        scheduler = hf_fit(tmp_path, BY_STEPS, EPOCHS * BATCHES - 3)
    assert scheduler.history[-1]["asked_sparsity"] < 0.85


def test_a_plain_loop_that_breaks_off_says_so_by_finish() -> None:
    model = network()
    scheduler = CompressionScheduler(model, [Prune(Linear(0.9))], optimizer=torch.optim.SGD(model.parameters()))
    for epoch in scheduler.epochs(EPOCHS):
        F.cross_entropy(model(data()[0]), data()[1]).backward()
        if epoch == 1:
            break
    with pytest.warns(NoEffect, match=r"Prune in epochs 0 to the end was left at sparsity 0.3 of 0.9") as caught:
        scheduler.finish()
        scheduler.finish()
    assert said(caught) == 1
    for _ in scheduler.epochs(EPOCHS):  # it may go on nevertheless, and then nothing is missed
        pass
    assert scheduler.history[-1]["asked_sparsity"] == 0.9


class TestReplacedWeights:
    @pytest.mark.parametrize("first", [False, True])
    @pytest.mark.parametrize("kind", ["swa", "ema"])
    def test_an_average_keeps_to_the_masks(self, kind: str, first: bool, tmp_path: Path) -> None:
        average = StochasticWeightAveraging(0.01, swa_epoch_start=1) if kind == "swa" else EMAWeightAveraging(decay=0.9)
        compression = lightning.Compression([BY_EPOCHS])
        callbacks = [average, compression] if first else [compression, average]
        trainer = runs.trainer_for(tmp_path, callbacks, enable_checkpointing=False)
        module = runs.Module("adam_prune_epochs")
        trainer.fit(module, torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*data()), batch_size=BATCH))
        assert sparsity(module) == pytest.approx(0.9, abs=1e-3)

    def test_zeros_that_no_mask_holds_are_missed_aloud(self, tmp_path: Path) -> None:
        budget = Steer(SparsityBudget(0.9, period=3))
        with pytest.warns(NoEffect, match=r"the sparsity fell from 0\.9 to 0\.\d+ behind the last epoch") as caught:
            fit(tmp_path, "adabreg", budget, EMAWeightAveraging(decay=0.9))
        assert said(caught) == 1

    def test_the_best_model_of_trainer_may_be_a_denser_one(self, tmp_path: Path) -> None:
        class Worse(TrainerCallback):
            def on_evaluate(self, args: Any, state: Any, control: Any, metrics: Any = None, **_: Any) -> None:
                metrics["eval_loss"] = state.epoch  # the first epoch is the best one

        compression = transformers.Compression([BY_EPOCHS])
        settings = {"eval_strategy": "epoch", "save_strategy": "epoch", "load_best_model_at_end": True}
        trainer = hf_runs.trainer_for(tmp_path, "adam", [compression, Worse()], **settings)
        with pytest.warns(NoEffect, match=r"the sparsity fell from 0\.\d+ to \S+ behind the last epoch"):
            trainer.train()
