"""Every pruning function, scope, schedule and dimension prunes the counts of the formula; no argument is ignored."""

from __future__ import annotations

import logging
import math
from fractions import Fraction
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor, nn
from torch.nn import functional as F

from prunus.errors import LayerCollapse, NoEffect, RunError, SelectionError, SettingError, SparsityDecreaseError
from prunus.integrations.lightning import MagnitudePruner, SafeModelPruning
from tests.e2e.comparing import differences
from tests.integrations.pruning_runs import BATCHES, INPUTS, OUTPUTS, WEIGHTS, Counting, Pictures, fit

pytestmark = [
    pytest.mark.filterwarnings("ignore::prunus.errors.LayerCollapse"),
    pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*callbacks used to create the checkpoint"),
    pytest.mark.filterwarnings("ignore:.*exists and is not empty"),
]
RAMP, EPOCHS, GOAL, START = 3, 4, 0.7, 0.1
SIZES = {None: WEIGHTS, 0: OUTPUTS, 1: INPUTS}
KINDS = [("l1_unstructured", None), ("random_unstructured", None)]
KINDS += list(product(("l1_structured", "ln_structured", "random_structured"), (0, 1)))
SCHEDULES = ("once", "linear", "constant", "cubic", "exponential", "steps")


def level(schedule: str, p: float) -> float:
    """The curves, written down again."""
    return {
        "once": lambda: GOAL,
        "linear": lambda: START + (GOAL - START) * p,
        "steps": lambda: START + (GOAL - START) * p,
        "constant": lambda: 1 - (1 - START) * ((1 - GOAL) / (1 - START)) ** p,
        "cubic": lambda: GOAL + (START - GOAL) * (1 - p) ** 3,
        "exponential": lambda: START * (GOAL / START) ** p,
    }[schedule]()


def floor_of(share: float, members: int) -> int:
    """⌊share · members⌋ of the number that is meant: 0.3 is three tenths, not the float below."""
    return math.floor(Fraction(share).limit_denominator(10**9) * members)


def expected(schedule: str, everywhere: bool, sizes: dict[str, int], moment: int, moments: int) -> Any:
    share = level(schedule, min(1.0, (moment + 1) / moments))
    return (
        floor_of(share, sum(sizes.values()))
        if everywhere
        else {name: floor_of(share, size) for name, size in sizes.items()}
    )


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("everywhere", [True, False], ids=["global", "per_layer"])
@pytest.mark.parametrize(("name", "dim"), KINDS)
def test_every_epoch_has_exactly_the_counts_of_the_formula(
    name: str, dim: int | None, everywhere: bool, schedule: str, tmp_path: Path
) -> None:
    ramp: dict[str, Any] = {}
    if schedule != "once":
        kind = "linear" if schedule == "steps" else schedule
        ramp = {"scheduled_pruning": True, "initial_amount": START, "epochs_to_ramp": RAMP, "schedule_type": kind}
    if schedule == "steps":
        ramp |= {"granularity": "steps", "every_n_steps": 2}
    norm = 2 if name == "ln_structured" else 1
    pruner = MagnitudePruner(name, GOAL, pruning_dim=dim, pruning_norm=norm, use_global_unstructured=everywhere, **ramp)
    counting = Counting(dim)
    fit(tmp_path, [pruner, counting], max_epochs=EPOCHS, limit_val_batches=0)

    def seen(row: dict[str, int]) -> Any:
        return sum(row.values()) if everywhere else row

    if schedule == "steps":
        found = [seen(row) for batches in counting.batches for row in batches]
        cuts = math.ceil(RAMP * BATCHES / 2)
        wanted = [expected(schedule, everywhere, SIZES[dim], step // 2, cuts) for step in range(EPOCHS * BATCHES)]
    else:
        found = [seen(row) for row in counting.rows]
        wanted = [expected(schedule, everywhere, SIZES[dim], epoch, RAMP) for epoch in range(EPOCHS)]
        held = [[seen(row) for row in batches] for batches in counting.batches]
        assert held == [[count] * BATCHES for count in wanted], "masks hold after every update"
    assert found == wanted


@pytest.mark.parametrize(("name", "dim"), KINDS)
@pytest.mark.parametrize("everywhere", [True, False])
def test_an_int_is_a_count_and_a_float_a_fraction(name: str, dim: int | None, everywhere: bool, tmp_path: Path) -> None:
    pruner = MagnitudePruner(name, 2, pruning_dim=dim, use_global_unstructured=everywhere, scheduled_pruning=True)
    pruner.epochs_to_ramp = 2
    counting = Counting(dim)
    fit(tmp_path, [pruner, counting], max_epochs=3, limit_val_batches=0)
    totals = [sum(row.values()) if everywhere else set(row.values()) for row in counting.rows]
    assert totals == ([1, 2, 2] if everywhere else [{1}, {2}, {2}])
    one = MagnitudePruner(amount=1)
    fit(tmp_path, [one], max_epochs=1, limit_val_batches=0)
    assert one.scheduler is not None and one.scheduler.masks.state_dict() and one.scheduler.count().zeros == 1


def test_a_count_may_come_from_a_count(tmp_path: Path) -> None:
    counting = Counting()
    settings = {"scheduled_pruning": True, "epochs_to_ramp": 2, "use_global_unstructured": False}
    fit(
        tmp_path,
        [MagnitudePruner(amount=30, initial_amount=10, **settings), counting],
        max_epochs=2,
        limit_val_batches=0,
    )
    assert [set(row.values()) for row in counting.rows] == [{20}, {30}]


def test_norms_differ_where_they_should(tmp_path: Path) -> None:
    """One row of many small weights, one of few large ones: the 1-norm keeps the first, the 2-norm the second."""

    def kept(name: str, norm: float) -> list[bool]:
        module = Pictures()
        with torch.no_grad():
            module.head.weight.fill_(5.0)
            module.head.weight[0], module.head.weight[1] = 0.0, 0.1
            module.head.weight[0, 0] = 4.0
        pruner = MagnitudePruner(name, 1, pruning_dim=0, pruning_norm=norm, parameters_to_prune=["head.weight"])
        fit(tmp_path, [pruner], module, max_epochs=1, limit_train_batches=1, limit_val_batches=0)
        return module.head.weight[:2].any(dim=1).tolist()

    assert kept("l1_structured", 1) == kept("ln_structured", 1) == [False, True]
    assert kept("ln_structured", 2) == kept("ln_structured", math.inf) == [True, False]


def test_the_defaults_run(tmp_path: Path) -> None:
    """D5: epochs_to_ramp is 10 by default, which is no ramp and no fault in a run of two epochs."""
    module = fit(tmp_path, [pruner := MagnitudePruner()], max_epochs=2)
    zeros = sum(int((module.get_parameter(name) == 0).sum()) for name in WEIGHTS)
    assert zeros == sum(WEIGHTS.values()) // 2
    assert pruner.selection is not None and pruner.selection.names == tuple(WEIGHTS)


def test_rounded_slices_are_no_decrease(tmp_path: Path) -> None:
    """D2: half of 3 input channels is 1; comparing 1/3 or 2/3 with the target of 1/2 raised in epoch 1."""
    settings = {"pruning_dim": 1, "use_global_unstructured": False, "parameters_to_prune": ["conv.weight"]}
    counting = Counting(1)
    fit(tmp_path, [MagnitudePruner("ln_structured", 0.5, **settings), counting], max_epochs=3)
    assert [row["conv.weight"] for row in counting.rows] == [1, 1, 1]


def test_l1_structured_prunes_whole_slices(tmp_path: Path) -> None:
    """D3: the name does not exist in torch, and single weights were pruned instead."""
    counting = Counting(0)
    pruner = MagnitudePruner("l1_structured", 0.5, pruning_dim=0, use_global_unstructured=False)
    module = fit(tmp_path, [pruner, counting], max_epochs=1)
    assert counting.rows == [{"conv.weight": 4, "up.weight": 3, "head.weight": 5}]
    assert int((module.head.weight == 0).sum()) == 5 * 54


def test_recurrent_biases_and_norms_stay_dense(tmp_path: Path) -> None:
    """D6, through the callback; D18: a module with a parameter of its own and a pruned child."""

    class Speech(Pictures):
        def __init__(self) -> None:
            LightningModule.__init__(self)
            self.weight = nn.Parameter(torch.rand(20, 20))
            self.rnn, self.norm = nn.LSTM(20, 20), nn.RMSNorm(20)
            self.attention = nn.MultiheadAttention(20, 2)

        def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
            x = self.norm(self.rnn(batch[0].flatten(1)[:, :20] @ self.weight)[0])
            return F.mse_loss(self.attention(x, x, x)[0], x)

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), lr=0.1)

    module = Speech()
    before = {name for name, value in module.named_parameters() if (value == 0).any()}
    fit(tmp_path, [MagnitudePruner(amount=0.5, min_param_elements=1)], module, max_epochs=2, limit_val_batches=0)
    sparse = {name for name, value in module.named_parameters() if (value == 0).sum() > 1}
    weights = {
        "weight",
        "rnn.weight_ih_l0",
        "rnn.weight_hh_l0",
        "attention.in_proj_weight",
        "attention.out_proj.weight",
    }
    assert sparse - before == weights
    assert set(dict(module.named_parameters())) == set(module.state_dict())


def test_a_layer_that_loses_everything_is_named(tmp_path: Path) -> None:
    """D24: a global ranking over layers of unlike scale empties the one with the small weights."""
    module = Pictures()
    with torch.no_grad():
        module.head.weight.mul_(1e-3)
    with pytest.warns(LayerCollapse, match=r"nothing is left of head\.weight at sparsity 0\.8000"):
        fit(tmp_path, [MagnitudePruner(amount=0.8)], module, max_epochs=1)


@pytest.mark.parametrize("permanent", [True, False])
def test_masks_end_as_plain_zeros_or_stay_on_guard(permanent: bool, tmp_path: Path) -> None:
    module = Pictures()
    pruner = MagnitudePruner(make_pruning_permanent=permanent)
    fit(tmp_path, [pruner], module, max_epochs=1)
    names = set(Pictures().state_dict())
    assert set(module.state_dict()) == names, "no _orig, no _mask"
    zeros = sum(int((module.get_parameter(name) == 0).sum()) for name in WEIGHTS)
    assert zeros == sum(WEIGHTS.values()) // 2
    assert pruner.scheduler is not None and pruner.scheduler.optimizer is not None
    module(torch.rand(4, 3, 4, 4)).square().sum().backward()
    pruner.scheduler.optimizer.step()
    after = sum(int((module.get_parameter(name) == 0).sum()) for name in WEIGHTS)
    assert (after < zeros) is permanent


def test_figures_are_logged_under_their_names(tmp_path: Path) -> None:
    class Reading(Counting):
        def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
            for name in ("sparsity", "amount", "achieved"):
                found.setdefault(name, []).append(float(trainer.callback_metrics[f"pruning/{name}"]))

    found: dict[str, list[float]] = {}
    settings = {"scheduled_pruning": True, "epochs_to_ramp": 2, "pruning_dim": 0, "use_global_unstructured": False}
    pruner = MagnitudePruner("l1_structured", 0.5, parameters_to_prune=["head.weight"], **settings)
    fit(tmp_path, [pruner, Reading()], max_epochs=3)
    assert found["amount"] == [0.25, 0.5, 0.5]
    assert found["achieved"] == found["sparsity"] == pytest.approx([0.2, 0.5, 0.5])


def test_the_table_is_shown_when_asked_for(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("lightning.pytorch").setLevel(logging.INFO)
    shown = {}
    for verbose in (0, 1, 2):
        with caplog.at_level(logging.INFO):
            fit(tmp_path, [MagnitudePruner(verbose=verbose)], max_epochs=1)
        shown[verbose] = "\n".join(record.getMessage() for record in caplog.records if "prun" in record.getMessage())
        caplog.clear()
    assert shown[0] == ""
    assert "3 of 6 parameters" in shown[1] and "sparsity 0.5" in shown[1] and "bias or vector" not in shown[1]
    assert "conv.bias    Conv2d           8        8        bias or vector" in shown[2]


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"pruning_fn": "l1_structurd"}, "Did you mean 'l1_structured'"),
    ({"pruning_fn": "l1_unstructured", "pruning_dim": 0}, "leave it out, or use l1_structured"),
    ({"pruning_fn": "random_unstructured", "pruning_dim": 1}, "leave it out, or use random_structured"),
    ({"pruning_fn": "ln_structured"}, r"pruning_dim is None, but ln_structured needs 0"),
    ({"pruning_fn": "ln_structured", "pruning_dim": 2}, "pruning_dim is 2"),
    ({"pruning_fn": "ln_structured", "pruning_dim": True}, "pruning_dim is True"),
    ({"pruning_fn": "ln_structured", "pruning_dim": 0, "pruning_norm": 0}, "pruning_norm is 0"),
    ({"pruning_norm": 2}, "which l1_unstructured does not use; try ln_structured"),
    ({"amount": True}, "amount is True, expected a fraction such as 0.5 or a count"),
    ({"amount": "0.5"}, "amount is '0.5'"),
    ({"amount": 50.0}, "for 50 % write 0.5"),
    ({"amount": -3}, "amount is -3"),
    ({"amount": math.nan}, "amount is nan"),
    ({"initial_amount": 0.2}, "has no effect without scheduled_pruning"),
    ({"granularity": "steps"}, "has no effect without scheduled_pruning"),
    ({"granularity": "step"}, "Did you mean 'steps'"),
    ({"scheduled_pruning": True, "initial_amount": 0.6}, "initial_amount is 0.6, above the final 0.5"),
    ({"scheduled_pruning": True, "schedule_type": "exponential"}, "zero"),
    ({"schedule_type": "cubick"}, "Did you mean 'cubic'"),
    ({"scheduled_pruning": "yes"}, "scheduled_pruning is 'yes', expected True or False"),
    ({"use_global_unstructured": 1}, "use_global_unstructured is 1"),
    ({"epochs_to_ramp": 2.5}, "epochs_to_ramp is 2.5"),
    ({"every_n_steps": 0}, "every_n_steps is 0"),
    ({"min_param_elements": -1}, "min_param_elements is -1"),
    ({"final_amount": 0.9, "epoch_to_ramp": 3}, r"(?s)unknown arguments.*final_amount.*Did you mean 'epochs_to_ramp'"),
]


@pytest.mark.parametrize(("settings", "message"), WRONG)
def test_what_would_be_ignored_is_refused(settings: dict[str, Any], message: str) -> None:
    """D1 (swallowed arguments), D3 (unknown names), D4 (a dimension for single weights)."""
    with pytest.raises(SettingError, match=message):
        MagnitudePruner(**settings)


def test_what_does_not_fit_the_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="epochs_to_ramp is 10, but the run has only 9 epochs"):
        fit(tmp_path, [MagnitudePruner(scheduled_pruning=True)], max_epochs=9)
    with pytest.raises(SettingError, match=r"count 700, but conv\.weight has only 216"):
        fit(tmp_path, [MagnitudePruner(amount=700, use_global_unstructured=False)], max_epochs=1)
    with pytest.raises(SelectionError, match="fewer than 10000 elements"):
        fit(tmp_path, [MagnitudePruner(min_param_elements=10000)], max_epochs=1)
    with pytest.raises(RunError, match="use granularity='epochs'"):
        steps = MagnitudePruner(scheduled_pruning=True, granularity="steps", epochs_to_ramp=1)
        module = Pictures()
        module.automatic_optimization = False
        fit(tmp_path, [steps], module, max_epochs=1)


def test_a_resumed_run_that_asks_for_less_says_what_it_had_and_what_it_would_have(tmp_path: Path) -> None:
    def resume(**settings: Any) -> None:
        ramp = {"scheduled_pruning": True, "epochs_to_ramp": 4, **settings}
        fit(tmp_path, [MagnitudePruner(**ramp)], max_epochs=8, ckpt_path=tmp_path / "last.ckpt")

    saver = ModelCheckpoint(dirpath=tmp_path, save_last=True)
    pruner = MagnitudePruner(amount=0.8, scheduled_pruning=True, epochs_to_ramp=4)
    fit(tmp_path, [pruner, saver], max_epochs=4)
    with pytest.raises(RuntimeError, match=r"old 0\.7\d+, new 0\.5000 \(applied amount 0\.5\)"):
        resume(amount=0.5)
    resume(amount=0.8)
    saver = ModelCheckpoint(dirpath=tmp_path / "half", save_last=True)
    pruner = MagnitudePruner(amount=0.8, scheduled_pruning=True, epochs_to_ramp=4)
    with pytest.warns(NoEffect, match="left at"):
        fit(tmp_path, [pruner, Stop(2), saver], max_epochs=4)
    with pytest.raises(SparsityDecreaseError, match=r"old 0\.3\d+, new 0\.2\d+ \(applied amount 0\.8\)"):
        fit(
            tmp_path,
            [MagnitudePruner(amount=0.8, scheduled_pruning=True, epochs_to_ramp=12)],
            max_epochs=12,
            ckpt_path=tmp_path / "half" / "last.ckpt",
        )


class Stop(Counting):
    """Ends the run after so many epochs, as a time limit does."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self.after = after

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        trainer.should_stop = trainer.current_epoch + 1 >= self.after


@pytest.mark.parametrize("kind", [MagnitudePruner, SafeModelPruning])
@pytest.mark.parametrize("name", ["random_unstructured", "l1_unstructured"])
@pytest.mark.parametrize("amount", [0.9, 100])
def test_resuming_in_the_ramp_ends_the_same(kind: Any, name: str, amount: float, tmp_path: Path) -> None:
    goal = {"amount": amount} if kind is MagnitudePruner else {"final_amount": amount}
    settings = {"scheduled_pruning": True, "epochs_to_ramp": 4, "use_global_unstructured": False, **goal}

    def run(*others: Any, **more: Any) -> dict[str, Tensor]:
        return dict(fit(tmp_path, [kind(name, **settings), *others], max_epochs=6, **more).state_dict())

    whole = run()
    with pytest.warns(NoEffect, match="left at"):
        run(Stop(2), ModelCheckpoint(dirpath=tmp_path, save_last=True))
    assert list(differences(whole, run(ckpt_path=tmp_path / "last.ckpt"))) == []
