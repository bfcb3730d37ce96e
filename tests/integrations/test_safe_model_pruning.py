"""The ramp of SafeModelPruning, and its life beside a callback that steers the same optimizer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint

from prunus.actions import Steer
from prunus.errors import NoEffect, SettingError
from prunus.integrations.lightning import Compression, SafeModelPruning
from prunus.optim import AdaBreg
from prunus.regularizers import RegL1
from prunus.steering import LambdaScheduler, SparsityBudget
from tests.e2e.comparing import differences
from tests.integrations.pruning_runs import WEIGHTS, Counting, Pictures, fit

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*callbacks used to create the checkpoint"),
    pytest.mark.filterwarnings("ignore:.*exists and is not empty"),
]
TOTAL = sum(WEIGHTS.values())
RAMP: dict[str, Any] = {"scheduled_pruning": True, "initial_amount": 0.1, "final_amount": 0.7, "epochs_to_ramp": 3}


def bregman(module: LightningModule) -> torch.optim.Optimizer:
    """λ on exactly the weights that are pruned, none on the biases."""
    weights = [module.get_parameter(name) for name in WEIGHTS]
    rest = [p for p in module.parameters() if all(p is not weight for weight in weights)]
    return AdaBreg([{"params": weights, "reg": RegL1(0.02)}, {"params": rest, "lambda_scale": 0.0}], lr=5e-3)


STEERING: dict[str, Callable[[], Any]] = {
    "feedback": lambda: LambdaScheduler(initial_lambda=0.02, target_sparsity=0.8),
    "budget": lambda: SparsityBudget(target=0.8, period=3),
}


class Watching(Callback):
    """Notes what both callbacks report, what is there, and whether pruned weights are zero after every batch."""

    def __init__(self, safe: SafeModelPruning) -> None:
        self.safe = safe
        self.rows: list[tuple[float, float, float]] = []
        self.held: list[bool] = []

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        masks = self.safe.scheduler.masks  # type: ignore[union-attr]
        self.held.append(all(bool((pl_module.get_parameter(name)[~masks[name]] == 0).all()) for name in masks))

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        zeros = sum(int((pl_module.get_parameter(name) == 0).sum()) for name in WEIGHTS)
        logged = [float(trainer.callback_metrics[f"{family}/sparsity"]) for family in ("pruning", "prunus")]
        self.rows.append((logged[0], logged[1], zeros / TOTAL))


@pytest.mark.parametrize("at_end", [False, True])
def test_the_ramp_starts_at_the_initial_amount_and_ends_one_epoch_after_it(at_end: bool, tmp_path: Path) -> None:
    safe = SafeModelPruning(**RAMP, prune_on_train_epoch_end=at_end)
    counting = Counting()
    fit(tmp_path, [safe, counting], max_epochs=6, limit_val_batches=0)
    wanted = [TOTAL * share // 10 for share in (1, 3, 5, 7, 7, 7)]
    found = [sum(row.values()) for row in counting.rows]
    assert found == ([0, *wanted[:-1]] if at_end else wanted)
    assert safe.scheduler is not None
    assert [round(row["sparsity"] * TOTAL) for row in safe.scheduler.history] == wanted


@pytest.mark.parametrize(("amount", "zeros"), [(0.25, TOTAL // 4), (7, 7)])
def test_without_a_schedule_the_amount_is_pruned_once(amount: float, zeros: int, tmp_path: Path) -> None:
    counting = Counting()
    fit(tmp_path, [SafeModelPruning(amount=amount), counting], max_epochs=3, limit_val_batches=0)
    assert [sum(row.values()) for row in counting.rows] == [zeros] * 3


def test_it_can_be_switched_off(tmp_path: Path) -> None:
    dense = fit(tmp_path, [], max_epochs=2).state_dict()
    found = fit(tmp_path, [SafeModelPruning(apply_pruning=False)], max_epochs=2).state_dict()
    assert list(differences(dict(dense), dict(found))) == []


@pytest.mark.parametrize("collect", [True, False])
def test_figures_are_logged_as_asked(collect: bool, tmp_path: Path) -> None:
    module = fit(tmp_path, [SafeModelPruning(collect_metrics=collect)], max_epochs=1)
    found = {name for name in module.trainer.callback_metrics if name.startswith("pruning/")}
    assert found == {"pruning/sparsity", "pruning/amount"} | ({"pruning/achieved", "pruning/lr"} if collect else set())


@pytest.mark.parametrize("steering", STEERING)
@pytest.mark.parametrize("first", [True, False], ids=["pruning_first", "steering_first"])
def test_beside_a_steered_optimizer_masks_hold_and_both_read_the_same(
    steering: str, first: bool, tmp_path: Path
) -> None:
    safe, steer = SafeModelPruning(**RAMP), Compression([Steer(STEERING[steering]())])
    watching = Watching(safe)
    pair: list[Callback] = [safe, steer] if first else [steer, safe]
    fit(tmp_path, [*pair, watching], Pictures(bregman=bregman), max_epochs=6)
    assert all(watching.held) and len(watching.held) == 18
    for pruning, prunus, counted in watching.rows:
        assert pruning == prunus == pytest.approx(counted)
    assert watching.rows[-1][2] >= 0.69


@pytest.mark.parametrize("steering", STEERING)
def test_the_order_of_the_two_callbacks_makes_no_difference(steering: str, tmp_path: Path) -> None:
    def run(order: int) -> dict[str, Any]:
        pair: list[Callback] = [SafeModelPruning(**RAMP), Compression([Steer(STEERING[steering]())])]
        module = fit(tmp_path, pair[::order], Pictures(bregman=bregman), max_epochs=6)
        return {"model": dict(module.state_dict()), "optimizer": module.trainer.optimizers[0].state_dict()}

    assert list(differences(run(1), run(-1))) == []


def test_steering_is_undisturbed_by_a_pruner_that_prunes_nothing(tmp_path: Path) -> None:
    def run(*others: Callback) -> dict[str, Any]:
        steer = Compression([Steer(STEERING["feedback"]())])
        module = fit(tmp_path, [*others, steer], Pictures(bregman=bregman), max_epochs=4)
        assert steer.scheduler is not None
        return {"model": dict(module.state_dict()), "history": steer.scheduler.history}

    assert list(differences(run(), run(SafeModelPruning(amount=0)))) == []


@pytest.mark.parametrize("steering", STEERING)
def test_the_pair_resumes_exactly(steering: str, tmp_path: Path) -> None:
    class Stop(Callback):
        def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
            trainer.should_stop = trainer.current_epoch == 1

    def run(*others: Callback, **settings: Any) -> dict[str, Any]:
        steer, safe = Compression([Steer(STEERING[steering]())]), SafeModelPruning(**RAMP)
        module = fit(tmp_path, [steer, safe, *others], Pictures(bregman=bregman), max_epochs=6, **settings)
        assert steer.scheduler is not None and safe.scheduler is not None
        schedulers = [steer.scheduler.state_dict(), safe.scheduler.state_dict()]
        optimizer = module.trainer.optimizers[0].state_dict()
        return {"model": dict(module.state_dict()), "optimizer": optimizer, "schedulers": schedulers}

    whole = run()
    with pytest.warns(NoEffect, match="left at"):
        run(Stop(), ModelCheckpoint(dirpath=tmp_path, save_last=True))
    assert list(differences(whole, run(ckpt_path=tmp_path / "last.ckpt"))) == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"scheduled_pruning": True}, "needs final_amount"),
        ({"final_amount": 0.5}, "no effect without scheduled_pruning"),
        ({"scheduled_pruning": True, "initial_amount": 0.5, "final_amount": 0.5}, "less than final_amount"),
        ({"scheduled_pruning": True, "final_amount": True}, "final|amount is True"),
        ({"amount": None}, "amount is None"),
        ({"use_lottery_ticket_hypothesis": True}, "does not rewind"),
        ({"resample_parameters": True}, "does not rewind"),
        ({"pruning_trigger": "epoch"}, "pruning_trigger"),
        ({"collect_metrics": 1}, "collect_metrics is 1"),
    ],
)
def test_what_would_be_ignored_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        SafeModelPruning(**settings)


def test_a_ramp_that_would_not_end_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="the run has only 3 epochs"):
        fit(tmp_path, [SafeModelPruning(**RAMP)], max_epochs=3)
