"""BregmanPruner: two modes told apart, the documented arithmetic and lines, one sparsity, runs that go on exactly."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint, ModelPruning
from lightning.pytorch.loggers import CSVLogger
from torch import nn
from torch.nn.utils import prune

from prunus import measure
from prunus.actions import Steer
from prunus.errors import NoEffect, RunError, SelectionError, SettingError
from prunus.integrations.lightning import BregmanPruner, Compression, MagnitudePruner, SafeModelPruning
from prunus.optim import AdaBreg, ProxSGD
from prunus.regularizers import RegL1
from prunus.steering import LambdaScheduler, SparsityBudget
from tests.e2e.comparing import differences
from tests.e2e.runs import Module, trainer_for
from tests.integrations.bregman_runs import FIRST_WEIGHT as FIRST
from tests.integrations.bregman_runs import GROUPS, MODES, START, Bregman, Charged, feedback, fit, loader, outcome
from tests.integrations.bregman_runs import LAST_WEIGHT as LAST

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*callbacks used to create the checkpoint"),
    pytest.mark.filterwarnings("ignore:.*exists and is not empty"),
    pytest.mark.filterwarnings("ignore:.*have no `val_dataloader`"),
    pytest.mark.filterwarnings("ignore:steering ended at:prunus.errors.NoEffect"),
]
ONE: dict[str, Any] = {"max_epochs": 1, "limit_train_batches": 1}


class Watching(Callback):
    """Notes λ of the groups at the begin of the first batch, and the sparsity after every one."""

    def __init__(self) -> None:
        self.first: dict[str, float] = {}
        self.seen: list[tuple[float, float]] = []

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        if trainer.global_step == 0:
            groups = trainer.optimizers[0].param_groups
            self.first = {group["name"]: group["reg"].lamda for group in groups if "name" in group}

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        pruner = pl_module.bregman_pruner
        self.seen.append((pruner.get_current_sparsity(), pruner.get_current_lambda()))


class Single(Module):
    """One weight matrix, of which the first entries are zero and nothing moves."""

    def __init__(self, rows: int, columns: int, zeros: int, pruner: BregmanPruner | None = None) -> None:
        super().__init__("")
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(64, rows), nn.Linear(rows, columns, bias=False))
        self.net[2].weight.data.fill_(0.5).view(-1)[:zeros] = 0.0
        self.bregman_pruner = pruner

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        charged = self.bregman_pruner is not None and self.bregman_pruner.get_regularization_loss(self)
        return super().training_step(batch, batch_idx) + charged

    def configure_optimizers(self) -> torch.optim.Optimizer:
        if self.bregman_pruner is not None:
            return torch.optim.SGD(self.parameters(), lr=0.0)
        return AdaBreg([{"params": [self.net[2].weight], "reg": RegL1(7.0)}], lr=0.0)


# --- modes and arguments


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"target_sparsity": 0.8, "collect_metrics": True},
            "two modes: collect_metrics .*and target_sparsity of",
        ),
        ({"lambda_scheduler": feedback(), "update_frequency": 2}, "parameters_to_prune.*Give those of one"),
        ({"lambda_schedular": None}, "unknown arguments: lambda_schedular. Did you mean 'lambda_scheduler'"),
        ({"target_sparsity": 80}, "for 80 % write 0.8"),
        ({"initial_lambda": 1000.0}, "initial_lambda is 1000.0"),
        ({"lambda_update_rate": -1.0}, "lambda_update_rate is -1.0"),
        ({"update_frequency": 0}, "update_frequency is 0"),
        ({"sparsity_threshold": 1e-3}, "sparsity_threshold is 0.001, but sparsity is the share of exact zeros"),
        ({"sparsity_threshold": -1.0}, "sparsity_threshold is -1.0"),
        ({"collect_metrics": 1}, "collect_metrics is 1"),
        ({"lambda_scheduler": 0.1}, "lambda_scheduler is 0.1, expected a member of prunus.steering"),
        ({"lambda_scheduler": dict}, "expected a member of prunus.steering"),
        ({"verbose": -1}, "verbose is -1"),
    ],
)
def test_what_cannot_be_meant_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        BregmanPruner(**settings)


def test_a_string_of_parameters_and_positions_are_refused() -> None:
    with pytest.raises(SelectionError, match="parameters_to_prune is the string"):
        BregmanPruner(parameters_to_prune="net.1.weight")
    with pytest.raises(TypeError, match="positional"):
        BregmanPruner(0.8)  # type: ignore[misc]


def test_both_optimizers_meet_their_mode(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="proximal mode .* needs an optimizer of prunus.optim.*got Adam"):
        fit(tmp_path, BregmanPruner(lambda_scheduler=feedback), module=Module("adam"))
    with pytest.raises(SettingError, match="penalty mode of BregmanPruner charges the loss, but AdaBreg already has"):
        fit(tmp_path, BregmanPruner(target_sparsity=0.8), module=Module("adabreg_feedback"))
    with pytest.raises(SettingError, match="given no mode, and Adam does not settle it: pass target_sparsity=0.8"):
        fit(tmp_path, BregmanPruner(), module=Module("adam"))


def test_without_arguments_a_bregman_optimizer_keeps_its_lambda(tmp_path: Path) -> None:
    pruner, watching = BregmanPruner(verbose=0), Watching()
    module = fit(tmp_path, pruner, watching, max_epochs=1)
    assert pruner.mode.lambda_scheduler is None
    found = {group["name"]: group["reg"].lamda for group in module.trainer.optimizers[0].param_groups}
    assert found == watching.first and found["first"] == 1.0
    assert module.trainer.callback_metrics["bregman/lambda_first"] == 1.0


def test_a_regularizer_of_none_leaves_the_penalty_its_place(tmp_path: Path) -> None:
    class Free(Charged):
        def configure_optimizers(self) -> Any:
            return ProxSGD(self.parameters(), lr=0.01)

    pruner = MODES["penalty"]()
    fit(tmp_path, pruner, module=Free(pruner), max_epochs=1)
    assert pruner.scheduler.step == 7


# --- arithmetic and lines


def test_one_step_of_the_feedback_rule(tmp_path: Path) -> None:
    scheduler = LambdaScheduler(0.01, 0.9, 0.25)
    fit(tmp_path, BregmanPruner(lambda_scheduler=scheduler), module=Single(8, 8, 32), **ONE)
    assert scheduler.lambda_value == pytest.approx(0.01 * (1 + 0.25 * 0.4)) == pytest.approx(0.011)


def test_the_initial_lambda_is_there_before_the_first_step(tmp_path: Path) -> None:
    watching = Watching()
    fit(tmp_path, MODES["feedback"](), watching, **ONE)
    assert (watching.first["first"], watching.first["last"]) == (0.04, 0.02)


def test_the_documented_lines_of_the_penalty_mode(tmp_path: Path) -> None:
    lines: list[str] = []
    chosen = {"parameters_to_prune": ["net.2.weight"], "verbose": 1, "echo": lines.append}
    pruner = BregmanPruner(target_sparsity=0.8, **chosen)
    fit(tmp_path, pruner, module=Single(400, 250, 12543, pruner), **ONE)
    assert lines == ["Epoch 0: Sparsity of pruned modules = 12.543%"]
    pruner = BregmanPruner(target_sparsity=0.8, update_frequency=100, **chosen)
    lines.clear()
    module = Single(400, 250, 12543, pruner)
    fit(tmp_path, pruner, module=module, max_epochs=15)
    assert lines[0] == "Epoch 0: Sparsity of pruned modules = 12.543%"
    assert lines[-3:] == [
        "Epoch 14: Sparsity of pruned modules = 12.543%",
        "Sparsity 12.543% vs target 80.0% → Lambda ↗ 1.00000000 → 1.00067457",
        "Step 100: Sparsity=12.543%, lambda=1.0007",
    ]
    assert len(lines) == 15 + 2


def test_lines_by_level(tmp_path: Path) -> None:
    def lines(verbose: int | None, **settings: Any) -> list[str]:
        found: list[str] = []
        fit(tmp_path, BregmanPruner(verbose=verbose, echo=found.append, **settings), max_epochs=1)
        return found

    assert lines(0, lambda_scheduler=feedback) == lines(None, target_sparsity=0.8, initial_lambda=0.01) == []
    (line,) = lines(None, lambda_scheduler=feedback)
    assert re.fullmatch(r"Epoch 0: Sparsity of pruned modules = \d+\.\d{3}%", line)
    detailed = lines(2, lambda_scheduler=feedback)
    assert detailed[0] == f"first: RegL1(lamda=1.0), lambda_scale 2, 1,536 weights, {START:.3%} zeros"
    assert [line.partition(":")[0] for line in detailed[-2:]] == [f"  {FIRST}", f"  {LAST}"]


def test_lambda_falls_where_the_target_is_passed_and_rests_at_it(tmp_path: Path) -> None:
    for target, arrow in ((0.25, "↘"), (0.5, "="), ([0.25, 0.9], "↘")):
        lines: list[str] = []
        settings = {"parameters_to_prune": ["net.2.weight"], "update_frequency": 1, "verbose": 1}
        pruner = BregmanPruner(target_sparsity=target, echo=lines.append, **settings)
        fit(tmp_path, pruner, module=Single(8, 8, 32, pruner), **ONE)
        assert f"Lambda {arrow} 1.00000000" in lines[1]


# --- the penalty


def test_the_penalty_is_lambda_times_the_absolute_weights(tmp_path: Path) -> None:
    pruner = BregmanPruner(initial_lambda=0.5)
    module = Module("adam")
    expected = 0.5 * sum(module.get_parameter(name).abs().sum() for name in (FIRST, LAST))
    assert pruner.get_regularization_loss(module).item() == pytest.approx(expected.item())
    with pytest.raises(RunError, match="meets them when training starts"):
        pruner.get_current_sparsity()
    pruner.setup(Trainer(logger=False, accelerator="cpu"), module, "fit")
    assert (pruner.get_current_sparsity(), pruner.get_current_lambda()) == (0.0, 0.5)
    pruner.get_regularization_loss(module).backward()
    assert torch.equal(module.net[1].weight.grad, 0.5 * module.net[1].weight.sign())


def test_the_penalty_thins_the_weights_of_a_run(tmp_path: Path) -> None:
    def size(initial: float) -> float:
        pruner = BregmanPruner(initial_lambda=initial, lambda_update_rate=0.0)
        return float(fit(tmp_path, pruner).net[1].weight.detach().abs().sum())

    assert size(0.05) < 0.2 * size(1e-4)


def test_a_penalty_that_nobody_adds_is_named(tmp_path: Path) -> None:
    with (
        pytest.warns(NoEffect, match="has had no effect so far: add pruner.get_regularization_loss"),
        pytest.warns(NoEffect, match="Regularize in steps 0 to the end had no effect"),
    ):
        fit(tmp_path, MODES["penalty"](), module=Module("adam"), max_epochs=1)
    with pytest.raises(RunError, match="without a penalty mode there is no penalty; for one pass target_sparsity"):
        BregmanPruner(lambda_scheduler=feedback).get_regularization_loss(nn.Linear(2, 2))


def test_the_penalty_is_of_the_module_in_training(tmp_path: Path) -> None:
    class Part(Charged):
        def training_step(self, batch: Any, batch_idx: int) -> Any:
            return self.bregman_pruner.get_regularization_loss(self.net)

    pruner = MODES["penalty"]()
    with pytest.raises(RunError, match="was given Sequential, expected the module in training: pass self"):
        fit(tmp_path, pruner, module=Part(pruner))


@pytest.mark.parametrize("mode", ["feedback", "penalty"])
def test_lambda_moves_once_an_optimizer_step(mode: str, tmp_path: Path) -> None:
    pruner, watching = MODES[mode](), Watching()
    fit(tmp_path, pruner, watching, accumulate_grad_batches=7, max_epochs=8)
    strengths = [strength for _, strength in watching.seen]
    moved = [index for index in range(1, len(strengths)) if strengths[index] != strengths[index - 1]]
    every = 7 if mode == "feedback" else 7 * 4
    assert moved and all((index + 1) % every == 0 for index in moved)


# --- what is measured, and where it is logged


def test_figures_of_the_proximal_mode(tmp_path: Path) -> None:
    pruner = MODES["feedback"]()
    logger = CSVLogger(tmp_path, name="", version="")
    module = fit(tmp_path, pruner, max_epochs=2, logger=logger, log_every_n_steps=3)
    found = {name: float(value) for name, value in module.trainer.callback_metrics.items()}
    weights = [module.get_parameter(name) for name in (FIRST, LAST)]
    assert found.pop("bregman/sparsity") == pytest.approx(measure.sparsity(weights))
    assert found.pop("bregman/total_model_sparsity") == pytest.approx(measure.sparsity(module))
    strength = pruner.get_current_lambda()
    assert found.pop("bregman/global_lambda") == found.pop("bregman/lambda_last") == pytest.approx(strength)
    assert found.pop("bregman/lambda_first") == pytest.approx(2 * strength)
    assert found.pop("bregman/target_sparsity") == pytest.approx(0.8) and found == {}
    head, *rows = (tmp_path / "metrics.csv").read_text().splitlines()
    steps = [row.split(",")[head.split(",").index("step")] for row in rows]
    assert "bregman/global_lambda" in head and steps == ["2", "5", "6", "8", "11", "13"]


def test_figures_of_the_penalty_mode(tmp_path: Path) -> None:
    module = fit(tmp_path, MODES["penalty"](), max_epochs=1)
    names = {"sparsity", "total_model_sparsity", "lambda", "global_lambda", "target_sparsity", "penalty"}
    assert {name.removeprefix("bregman/") for name in module.trainer.callback_metrics} == names


def test_figures_can_be_switched_off(tmp_path: Path) -> None:
    module = fit(tmp_path, MODES["feedback"](collect_metrics=False), max_epochs=1)
    assert module.trainer.callback_metrics == {}


@pytest.mark.parametrize("mode", ["feedback", "penalty"])
@pytest.mark.parametrize("pruning_first", [True, False])
@pytest.mark.parametrize("neighbour", [SafeModelPruning, MagnitudePruner])
def test_both_callbacks_of_a_pair_read_the_same_sparsity(
    neighbour: Any, pruning_first: bool, mode: str, tmp_path: Path
) -> None:
    class Comparing(Callback):
        rows: list[tuple[float, ...]] = []  # noqa: RUF012

        def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
            zeros = sum(int((pl_module.get_parameter(name) == 0).sum()) for name in (FIRST, LAST))
            logged = [float(trainer.callback_metrics[name]) for name in ("pruning/sparsity", "bregman/sparsity")]
            self.rows.append((*logged, zeros / (1536 + 48)))

    amount = {"final_amount": 0.7} if neighbour is SafeModelPruning else {"amount": 0.7}
    pruning = neighbour(scheduled_pruning=True, epochs_to_ramp=2, min_param_elements=1, verbose=0, **amount)
    pruner = MODES[mode]()
    pair = [pruning, pruner, Comparing()] if pruning_first else [pruner, pruning, Comparing()]
    module = Charged(pruner) if mode == "penalty" else Bregman(pruner)
    trainer_for(tmp_path, pair, enable_checkpointing=False).fit(module, loader())
    for one, other, counted in Comparing.rows:
        assert one == other == pytest.approx(counted)
    assert Comparing.rows[-1][2] >= 0.69
    Comparing.rows.clear()


@pytest.mark.parametrize("mode", ["feedback", "penalty"])
def test_torch_masks_and_natural_zeros_count(mode: str, tmp_path: Path) -> None:
    pruner, watching = MODES[mode](), Watching()
    module = Charged(pruner) if mode == "penalty" else Single(24, 64, 0)
    layer = module.net[1] if mode == "penalty" else module.net[2]
    module.bregman_pruner = pruner if mode == "penalty" else None
    prune.random_unstructured(layer, "weight", amount=0.5)
    if mode == "feedback":
        module.configure_optimizers = lambda: AdaBreg(  # type: ignore[method-assign]
            [{"params": [layer.weight_orig], "reg": RegL1(0.02)}], lr=5e-3
        )
    fit(tmp_path, pruner, *([watching] if mode == "penalty" else []), module=module, max_epochs=1)
    effective = layer.weight_orig * layer.weight_mask
    others = 48 if mode == "penalty" else 0
    assert pruner.get_current_sparsity() == pytest.approx(float((effective == 0).sum()) / (effective.numel() + others))
    assert pruner.get_current_sparsity() >= 0.48


@pytest.mark.parametrize("mode", ["feedback", "penalty"])
def test_lightnings_own_pruning_is_seen_from_the_next_epoch_on(mode: str, tmp_path: Path) -> None:
    pruner, watching = MODES[mode](), Watching()
    module = Charged(pruner) if mode == "penalty" else Bregman(pruner, GROUPS[:1])
    pairs = [(module.net[1], "weight")]
    theirs = ModelPruning("l1_unstructured", pairs, amount=0.9, use_global_unstructured=False)
    fit(tmp_path, pruner, theirs, watching, module=module, max_epochs=2)
    share = 1536 / (1536 + (48 if mode == "penalty" else 0))
    first, second = watching.seen[6][0], watching.seen[7][0]
    assert first < 0.85 and second >= 0.9 * share - 1e-3


# --- the beginning of a run


def test_a_new_run_starts_sparse_and_a_resumed_one_does_not(tmp_path: Path) -> None:
    class Zeros(Callback):
        seen: list[float] = []  # noqa: RUF012

        def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
            self.seen.append(measure.sparsity(pl_module.get_parameter(FIRST)))

    saver = ModelCheckpoint(dirpath=tmp_path, filename="a", every_n_train_steps=10)
    fit(tmp_path, MODES["static"](), Zeros(), saver, max_epochs=2)
    saved = torch.load(tmp_path / "a.ckpt", weights_only=True)["state_dict"][FIRST]
    fit(tmp_path, MODES["static"](), Zeros(), max_epochs=2, ckpt_path=tmp_path / "a.ckpt")
    assert Zeros.seen == [START, measure.sparsity(saved)]


def test_another_kind_of_manager_is_refused(tmp_path: Path) -> None:
    module = Module("adabreg_feedback")
    module.pruning_manager = "mine"
    with pytest.raises(SettingError, match="Module.pruning_manager is 'mine', expected a prunus.select.PruningManager"):
        fit(tmp_path, MODES["feedback"](), module=module)


def test_a_new_fit_begins_anew_with_the_same_object(tmp_path: Path) -> None:
    pruner = BregmanPruner(lambda_scheduler=feedback(), verbose=0)
    one, other = (outcome(fit(tmp_path, pruner), pruner) for _ in range(2))
    assert list(differences(one["scheduler"], other["scheduler"])) == []


# --- going on


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.parametrize("mode", MODES)
def test_every_checkpoint_of_a_run_leads_to_the_same_end(mode: str, precision: str, tmp_path: Path) -> None:
    saver = ModelCheckpoint(dirpath=tmp_path, filename="{step:03d}", save_top_k=-1, every_n_train_steps=5)
    pruner = MODES[mode]()
    whole = outcome(fit(tmp_path, pruner, saver, precision=precision), pruner)
    paths = sorted(tmp_path.glob("*.ckpt"))
    assert len(paths) == 5
    for path in paths[:: 1 if precision == "32-true" else 3]:
        pruner = MODES[mode]()
        found = outcome(fit(tmp_path, pruner, ckpt_path=path, precision=precision), pruner)
        assert list(differences(whole, found)) == [], path.name


def test_settings_that_a_checkpoint_overrules_are_named(tmp_path: Path) -> None:
    def saver(name: str) -> ModelCheckpoint:
        return ModelCheckpoint(dirpath=tmp_path, filename=name, every_n_train_steps=10)

    def louder(**settings: Any) -> list[dict[str, Any]]:
        return [{**GROUPS[0], "optimizer_settings": {"reg": "l1", "lambda_scale": 2.0, **settings}}, GROUPS[1]]

    fit(tmp_path, MODES["feedback"](), saver("a"), max_epochs=2)
    fit(tmp_path, MODES["static"](), saver("b"), max_epochs=2)
    changed = BregmanPruner(lambda_scheduler=partial(LambdaScheduler, 0.02, 0.95), verbose=0)
    with pytest.warns(NoEffect, match="goes on with target_sparsity=0.8 of the resumed state, not 0.95"):
        fit(tmp_path, changed, max_epochs=2, ckpt_path=tmp_path / "a.ckpt")
    again = MODES["feedback"]()
    with pytest.warns(NoEffect, match=r"not with first lambda_scale=3.0 \(saved 2.0\): to change"):
        module = Bregman(again, louder(lambda_scale=3.0, reg=RegL1(0.5)))
        fit(tmp_path, again, module=module, max_epochs=2, ckpt_path=tmp_path / "a.ckpt")
    again = MODES["static"]()
    with pytest.warns(NoEffect, match=r"not with first lamda=0.5 \(saved 1.0\): to change"):
        module = Bregman(again, louder(reg=RegL1(0.5)))
        fit(tmp_path, again, module=module, max_epochs=2, ckpt_path=tmp_path / "b.ckpt")


def test_a_bound_that_stops_lambda_is_named(tmp_path: Path) -> None:
    stuck = partial(LambdaScheduler, 0.02, 0.99, max_lambda=0.02)
    with pytest.warns(NoEffect, match="stopped at max_lambda=0.02"):
        fit(tmp_path, BregmanPruner(lambda_scheduler=stuck, verbose=0))
    pruner = BregmanPruner(initial_lambda=100.0, target_sparsity=0.9, update_frequency=1)
    with pytest.warns(NoEffect, match="stopped at max_lambda=100"):
        fit(tmp_path, pruner)


def test_two_callbacks_cannot_steer_one_optimizer(tmp_path: Path) -> None:
    for order in (1, -1):
        pruner = MODES["feedback"]()
        pair = [pruner, Compression([Steer(SparsityBudget(0.5))])][::order]
        with pytest.raises(SettingError, match="λ of the optimizer"):
            trainer_for(tmp_path, pair, enable_checkpointing=False).fit(Bregman(pruner), loader())
