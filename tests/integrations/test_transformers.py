"""Trainer does what the plain loop does, whatever its own settings are, and its checkpoints resume to the bit."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import BertConfig, BertForMaskedLM, Trainer, TrainerCallback

from prunus import recipes
from prunus.actions import Adaptive, Prune, Regularize, SetLR
from prunus.checkpoints import read, write
from prunus.errors import CheckpointError, MissingExtraError, NoEffect, RunError, SelectionError
from prunus.integrations.transformers import Compression
from prunus.integrations.transformers.compression import _scale
from prunus.policy import Policy
from prunus.regularizers import RegL1
from prunus.scheduler import CompressionScheduler
from prunus.schedules import Cubic, Linear, OneShot
from prunus.select import Select
from prunus.window import Window
from tests.e2e.comparing import differences
from tests.e2e.hf_runs import Images, Ordered, arguments, trainer_for
from tests.e2e.runs import BATCHES, EPOCHS, network, summary
from tests.integrations.test_lightning import plain_run

EVERY_EPOCH = {"eval_strategy": "epoch", "save_strategy": "epoch"}


def fit(folder: Path, callback: Compression | None, *others: TrainerCallback, **settings: Any) -> Ordered:
    resume = settings.pop("resume", None)
    callbacks = [*([] if callback is None else [callback]), *others]
    trainer = trainer_for(folder, "adam", callbacks, **settings)
    torch.manual_seed(11)
    trainer.train(resume_from_checkpoint=resume)
    return trainer


def state_of(trainer: Ordered, callback: Compression) -> dict[str, Any]:
    assert callback.scheduler is not None
    return summary(trainer.model, callback.scheduler.optimizer, callback.scheduler)


def ramp() -> list[Any]:
    return [Policy(Prune(Cubic(0.9)), Window(2, 20, 3, "step"))]


def adaptive() -> list[Any]:
    return [Adaptive(Prune(Linear(0.9)), "accuracy", budget=0.0, step=0.3)]


@pytest.mark.parametrize(("accumulate", "clip"), [(1, None), (1, 0.05), (7, None), (7, 0.05)])
def test_a_penalty_is_worth_what_it_is_in_the_loss(accumulate: int, clip: float | None, tmp_path: Path) -> None:
    """Clipped with the loss too, although Trainer's own event before the optimizer's step comes after clipping."""
    expected = plain_run([Regularize(RegL1(0.01))], accumulate, clip)
    settings = {"gradient_accumulation_steps": accumulate, "max_grad_norm": clip or 0.0}
    found = fit(tmp_path, Compression([Regularize(RegL1(0.01))]), **settings).model.net
    free = fit(tmp_path, Compression([]), **settings).model.net
    for one, two, three in zip(expected.parameters(), found.parameters(), free.parameters(), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-6)
        assert (one - three).abs().max() > 1e-3


def test_a_penalty_carries_the_scale_of_the_gradients() -> None:
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    assert _scale(SimpleNamespace(scaler=scaler)) == 8.0  # type: ignore[arg-type]
    assert _scale(torch.optim.SGD([torch.ones(1)])) == 1.0


def test_steps_are_optimizer_steps(tmp_path: Path) -> None:
    callback = Compression([Policy(Prune(Linear(0.5)), Window(0, 10, 1, "step"))])
    fit(tmp_path, callback, gradient_accumulation_steps=3)
    assert callback.scheduler is not None
    assert (callback.scheduler.steps_per_epoch, callback.scheduler.step) == (3, 3 * EPOCHS)
    assert callback.scheduler.sparsity() == 0.5


@pytest.mark.parametrize("policies", [None, ramp])
def test_its_own_learning_rates_are_left_alone(policies: Any, tmp_path: Path) -> None:
    """The same as without the callback; or the same rates, where the callback does something else."""
    settings = {"lr_scheduler_type": "linear", "warmup_steps": 5, "logging_strategy": "steps", "logging_steps": 1}
    without = fit(tmp_path, None, **settings)
    callback = Compression([] if policies is None else policies())
    within = fit(tmp_path, callback, **settings)
    lrs = [[row["learning_rate"] for row in one.state.log_history if "loss" in row] for one in (without, within)]
    assert lrs[0] == lrs[1] and lrs[0][0] == 0.0
    if policies is None:
        assert list(differences(dict(without.model.state_dict()), dict(within.model.state_dict()))) == []


@pytest.mark.parametrize("unit", ["epoch", "step"])
@pytest.mark.parametrize("kind", ["linear", "cosine"])
def test_a_recipe_that_moves_the_learning_rate_moves_it_alone(kind: str, unit: str, tmp_path: Path) -> None:
    policies = [Policy(SetLR(Linear(0.25, initial=1.0)), Window(1, unit=unit)), *ramp()]
    expected = plain_run(policies)
    with pytest.warns(NoEffect, match=f"lr_scheduler_type='{kind}' has no effect.*say 'constant'"):
        found = fit(tmp_path, Compression(policies), lr_scheduler_type=kind, warmup_steps=3)
    assert list(differences(dict(expected.state_dict()), dict(found.model.net.state_dict()))) == []


def test_a_schedule_that_reads_metrics_and_a_recipe_exclude_each_other(tmp_path: Path) -> None:
    settings = {"lr_scheduler_type": "reduce_lr_on_plateau", **EVERY_EPOCH}
    with pytest.raises(RunError, match="ReduceLROnPlateau"):
        fit(tmp_path, Compression([SetLR(Linear(1.0, initial=0.5))]), **settings)


def test_an_evaluation_is_told_at_the_end_of_its_epoch(tmp_path: Path) -> None:
    callback = Compression(adaptive())
    with pytest.warns(NoEffect, match="of the way"):
        trainer = fit(tmp_path, callback, **EVERY_EPOCH)
    assert callback.scheduler is not None
    told = [row["eval_accuracy"] for row in trainer.state.log_history if "eval_accuracy" in row]
    assert [row["accuracy"] for row in callback.scheduler.history] == told and len(told) == EPOCHS
    logged = [row for row in trainer.state.log_history if "prunus/sparsity" in row]
    assert [row["prunus/sparsity"] for row in logged] == [row["sparsity"] for row in callback.scheduler.history]
    assert [row["step"] for row in logged] == [BATCHES * epoch for epoch in range(1, EPOCHS + 1)]


@pytest.mark.filterwarnings("ignore:Adaptive")
@pytest.mark.parametrize("policies", [adaptive, ramp])
def test_resuming_from_every_epoch_ends_the_same(policies: Any, tmp_path: Path) -> None:
    callback = Compression(policies())
    whole = state_of(fit(tmp_path, callback, **EVERY_EPOCH), callback)
    saved = read(tmp_path / f"checkpoint-{BATCHES}" / "prunus.ckpt")
    assert (saved["scheduler"]["place"], saved["in_epoch"]) == ([1, BATCHES, 0, False, False], False)
    for epoch in range(1, EPOCHS):
        again = Compression(policies())
        trainer = fit(tmp_path, again, resume=str(tmp_path / f"checkpoint-{BATCHES * epoch}"), **EVERY_EPOCH)
        assert list(differences(whole, state_of(trainer, again))) == []


@pytest.mark.parametrize("step", [1, 6, 7, 8, 14, 27])
def test_resuming_from_every_step_ends_the_same(step: int, finished: dict[str, Any], tmp_path: Path) -> None:
    policies = [*ramp(), Regularize(RegL1(0.001)), SetLR(Linear(0.25, initial=1.0))]
    callback = Compression(policies)
    folder = finished["folder"] / f"checkpoint-{step}"
    trainer = fit(tmp_path, callback, resume=str(folder), resume_from_checkpoint=str(folder))
    assert list(differences(finished["state"], state_of(trainer, callback))) == []


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("whole")
    callback = Compression([*ramp(), Regularize(RegL1(0.001)), SetLR(Linear(0.25, initial=1.0))])
    trainer = fit(folder, callback, save_strategy="steps", save_steps=1)
    return {"folder": folder, "state": state_of(trainer, callback)}


def test_checkpoints_of_other_runs_are_refused(tmp_path: Path) -> None:
    fit(tmp_path, None, save_strategy="epoch")
    folder = tmp_path / f"checkpoint-{BATCHES}"
    with pytest.raises(CheckpointError, match=r"checkpoint-7 lacks prunus\.ckpt.*Resume from an earlier checkpoint"):
        fit(tmp_path, Compression(ramp()), resume=str(folder))
    write(folder / "prunus.ckpt", {"scheduler": {}, "in_epoch": False, "figures": {}, "global_step": 3})
    with pytest.raises(CheckpointError, match="holds step 3, expected the state of step 7"):
        fit(tmp_path, Compression(ramp()), resume=str(folder))
    write(folder / "prunus.ckpt", {"global_stop": 3})
    with pytest.raises(CheckpointError, match=r"holds \['global_stop'\]"):
        fit(tmp_path, Compression(ramp()), resume=str(folder))
    fit(tmp_path, Compression(ramp()), save_strategy="epoch")
    with pytest.raises(CheckpointError, match="policies"):
        fit(tmp_path, Compression(adaptive()), resume=str(folder))


def test_a_run_that_ends_inside_an_epoch_ends_it(tmp_path: Path) -> None:
    callback = Compression([Policy(Prune(OneShot(0.5)), Window(end=1))])
    fit(tmp_path, callback, max_steps=BATCHES + 2)
    assert callback.scheduler is not None
    assert [row["step"] for row in callback.scheduler.history] == [BATCHES, BATCHES + 2]
    assert callback.scheduler.total_epochs is None


def test_an_evaluation_that_never_comes_is_not_waited_for(tmp_path: Path) -> None:
    class Skipping(TrainerCallback):
        def on_epoch_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            control.should_evaluate = False

    one, other = Compression(ramp()), Compression(ramp())
    skipped = state_of(fit(tmp_path, one, Skipping(), eval_strategy="epoch"), one)
    assert list(differences(skipped, state_of(fit(tmp_path, other), other))) == []


def test_of_several_evaluations_the_first_ends_the_epoch(tmp_path: Path) -> None:
    callback = Compression(ramp())
    trainer = trainer_for(tmp_path, "adam", [callback], eval_strategy="epoch")
    trainer.eval_dataset = {"one": Images(), "two": Images()}
    trainer.train()
    assert callback.scheduler is not None
    rows = callback.scheduler.history
    assert len(rows) == EPOCHS and all("one_accuracy" in row for row in rows)
    assert ["eval_two_accuracy" in row for row in rows] == [False, True, True, True]


def test_masks_of_an_earlier_run_are_no_longer_enforced(tmp_path: Path) -> None:
    callback = Compression([Prune(OneShot(0.9))])
    trainer = trainer_for(tmp_path, "adam", [callback], num_train_epochs=1)
    trainer.train()
    first = callback.scheduler
    assert first is not None and first.sparsity() == pytest.approx(0.9, abs=1e-3)
    callback.source = recipes.opened([])
    trainer.train()
    assert callback.scheduler is not first
    assert first.sparsity() < 0.5


def test_a_callback_serves_one_run_after_another(tmp_path: Path) -> None:
    callback = Compression(ramp())
    states = [state_of(fit(tmp_path, callback), callback) for _ in range(2)]
    assert list(differences(*states)) == []


def test_saved_weights_are_pruned_under_their_own_names(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = BertConfig(vocab_size=32, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24)
    model = BertForMaskedLM(config)
    names = list(model.state_dict())
    rows = [{"input_ids": torch.randint(32, (8,)), "labels": torch.randint(32, (8,))} for _ in range(8)]
    callback = Compression([Prune(Cubic(0.75), select=Select(exclude=("*embeddings*", "cls.*")))])
    Trainer(model, arguments(tmp_path, num_train_epochs=2), train_dataset=rows, callbacks=[callback]).train()
    model.save_pretrained(tmp_path / "saved")
    loaded = BertForMaskedLM.from_pretrained(tmp_path / "saved")
    scheduler = callback.scheduler
    assert scheduler is not None and list(loaded.state_dict()) == names
    weights = dict(loaded.named_parameters())
    assert len(list(scheduler.masks)) == 12
    zeros = sum(int((weights[name] == 0).sum()) for name in scheduler.masks)
    assert zeros == scheduler.count().zeros == 3 * sum(weights[name].numel() for name in scheduler.masks) // 4
    assert all(bool((weights[name][~scheduler.masks[name]] == 0).all()) for name in scheduler.masks)


def test_what_cannot_be_compressed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SelectionError, match="root is 'body'"):
        fit(tmp_path, Compression([], root="body"))
    with pytest.raises(RunError, match="built when training starts"):
        Compression([]).on_epoch_begin(*[None] * 3)  # type: ignore[arg-type]
    for sharded in ({"fsdp": ["full_shard"], "deepspeed": None}, {"fsdp": [], "deepspeed": "zero.json"}):
        given = {"model": network(), "optimizer": None}
        with pytest.raises(RunError, match="shard"):
            Compression([]).on_train_begin(SimpleNamespace(**sharded), None, None, **given)  # type: ignore[arg-type]


def test_without_transformers_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [one for one in sys.modules if one.startswith("prunus.integrations.transformers")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "accelerate", None)
    with pytest.raises(MissingExtraError, match=r"needs accelerate: pip install prunus\[transformers\]"):
        importlib.import_module("prunus.integrations.transformers")


def test_a_scheduler_that_is_ready_still_holds_its_masks_in_a_second_run(tmp_path: Path) -> None:
    trainer = trainer_for(tmp_path, "adam", [])
    optimizer = torch.optim.SGD(trainer.model.parameters(), lr=0.1)
    ready = CompressionScheduler(trainer.model, [Policy(Prune(OneShot(0.5)), Window(0, 1))], optimizer=optimizer)
    trainer.optimizer = optimizer
    trainer.add_callback(Compression(ready))
    for run in (1, 2):
        trainer.train()
        assert ready.step == run * BATCHES * EPOCHS
        assert ready.sparsity() == 0.5
