"""Learning rates against tables computed by hand, and against torch's own closed forms for any settings."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from prunus.recipes import distiller
from prunus.recipes.distiller import DistillerScheduler
from prunus.recipes.distiller.lr_schedulers import LR_SCHEDULERS as OURS
from prunus.recipes.distiller.lr_schedulers import (
    CyclicLR,
    ExponentialLR,
    LinearLR,
    MultiplicativeLR,
    OneCycleLR,
    ReduceLROnPlateau,
    StepLR,
)
from tests.recipes.distiller.lr_examples import schedule

SEED = {"starting_epoch": 24, "ending_epoch": 200, "frequency": 1}
START = {"starting_epoch": 0, "ending_epoch": 20, "frequency": 1}

# class, settings, window, base, {epoch: rate}
TABLES: list[tuple[str, dict[str, Any], dict[str, int], float, dict[int, float]]] = [
    (
        "ExponentialLR",
        {"gamma": 0.9},
        SEED,
        0.1,
        {
            0: 0.1,
            24: 0.1,
            25: 0.007178979876918526,
            26: 0.006461081889226673,
            30: 0.004239115827521624,
            39: 0.0016423203268260675,
        },
    ),
    ("StepLR", {"step_size": 4}, {**START, "frequency": 3}, 1.0, {0: 1.0, 3: 1.0, 4: 0.1, 6: 0.1, 7: 0.1, 10: 0.01}),
    ("StepLR", {"step_size": 3, "gamma": 0.5}, {**START, "starting_epoch": 4}, 0.8, {4: 0.8, 5: 0.4, 6: 0.2, 9: 0.1}),
    ("MultiStepLR", {"milestones": [3, 3, 2]}, START, 1.0, {1: 1.0, 2: 0.1, 3: 0.001, 19: 0.001}),
    ("MultiStepMultiGammaLR", {"milestones": [2, 4], "gammas": [0.5, 0.2]}, START, 1.0, {1: 1.0, 2: 0.5, 4: 0.1}),
    ("ConstantLR", {}, START, 0.3, {0: 0.1, 4: 0.1, 5: 0.3, 20: 0.3}),
    ("LinearLR", {"start_factor": 0.2, "total_iters": 4}, START, 1.0, {0: 0.2, 1: 0.4, 2: 0.6, 3: 0.8, 4: 1.0, 9: 1.0}),
    ("LinearLR", {"end_factor": 0.5, "start_factor": 1.0, "total_iters": 2}, START, 0.4, {0: 0.4, 1: 0.3, 2: 0.2}),
    ("PolynomialLR", {"T_max": 10, "power": 2}, START, 1.0, {0: 1.0, 1: 0.81, 5: 0.25, 9: 0.01, 10: 0.0, 15: 0.0}),
    ("PolynomialLR", {"total_iters": 4}, START, 1.0, {0: 1.0, 1: 0.75, 3: 0.25, 4: 0.0}),
    ("CosineAnnealingLR", {"T_max": 6, "eta_min": 0.2}, START, 1.0, {0: 1.0, 2: 0.8, 3: 0.6, 4: 0.4, 6: 0.2, 12: 1.0}),
    ("CosineAnnealingWarmRestarts", {"T_0": 2}, START, 1.0, {0: 1.0, 1: 0.5, 2: 1.0, 3: 0.5, 19: 0.5}),
    (
        "CosineAnnealingWarmRestarts",
        {"T_0": 3, "T_mult": 3},
        START,
        1.0,
        {0: 1.0, 1: 0.75, 2: 0.25, 3: 1.0, 6: 0.75, 9: 0.25, 12: 1.0},
    ),
    (
        "CyclicLR",
        {"base_lr": 0.2, "max_lr": 1.0, "step_size_up": 2, "step_size_down": 4, "mode": "exp_range", "gamma": 0.5},
        START,
        0.7,
        {0: 0.2, 1: 0.4, 2: 0.4, 3: 0.275, 4: 0.225, 6: 0.2, 7: 0.203125},
    ),
    (
        "CyclicLR",
        {"base_lr": 0.0, "max_lr": 1.0, "step_size_up": 2, "mode": "triangular2"},
        START,
        0.7,
        {0: 0.0, 1: 0.5, 2: 1.0, 3: 0.5, 4: 0.0, 5: 0.25, 6: 0.5, 10: 0.25},
    ),
    (
        "OneCycleLR",
        {"max_lr": 1.0, "total_steps": 21, "pct_start": 5 / 21, "div_factor": 2, "final_div_factor": 5},
        START,
        0.7,
        {0: 0.5, 2: 0.75, 4: 1.0, 12: 0.55, 20: 0.1},
    ),
    ("OneCycleLR", {"max_lr": 1.0, "total_steps": 10, "pct_start": 0.1}, {**START, "ending_epoch": 9}, 0.7, {0: 1.0}),
    (
        "OneCycleLR",
        {
            "max_lr": 1.0,
            "epochs": 10,
            "steps_per_epoch": 2,
            "pct_start": 0.25,
            "div_factor": 2,
            "final_div_factor": 5,
            "three_phase": True,
            "anneal_strategy": "linear",
        },
        {**START, "ending_epoch": 18},
        0.7,
        {0: 0.5, 1: 0.625, 4: 1.0, 6: 0.75, 8: 0.5, 9: 0.5 - 0.4 / 11, 19: 0.5 - 4 / 11},
    ),
]


def optimizer_of(*rates: float, momentum: float = 0.9) -> tuple[nn.Module, torch.optim.SGD]:
    """One group a rate."""
    model = nn.Sequential(*[nn.Linear(1, 1) for _ in rates])
    groups = [{"params": list(layer.parameters()), "lr": rate} for layer, rate in zip(model, rates, strict=True)]
    return model, torch.optim.SGD(groups, lr=1.0, momentum=momentum)


def pass_epochs(scheduler: DistillerScheduler, epochs: int, metrics: Any = None) -> Iterator[list[float]]:
    """Yield the rates of each epoch."""
    for epoch in range(epochs):
        scheduler.on_epoch_begin(epoch)
        yield [float(group["lr"]) for group in scheduler.optimizer.param_groups]
        scheduler.on_epoch_end(epoch, scheduler.optimizer, metrics=metrics and metrics[epoch])


@pytest.mark.parametrize(("name", "settings", "window", "base", "table"), TABLES)
def test_rates_are_those_computed_by_hand(name: str, settings: dict, window: dict, base: float, table: dict) -> None:
    model, optimizer = optimizer_of(base)
    scheduler = distiller.load(model, optimizer, schedule(name, settings, window))
    found = [rates[0] for rates in pass_epochs(scheduler, max(table) + 1)]
    assert {epoch: found[epoch] for epoch in table} == pytest.approx(table, rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("name", ["ExponentialLR", "StepLR", "LinearLR"])
def test_relative_counts_from_the_policys_start(name: str) -> None:
    settings: dict[str, Any] = {"ExponentialLR": {"gamma": 0.5}, "StepLR": {"step_size": 2}, "LinearLR": {}}[name]
    window = {"starting_epoch": 3, "ending_epoch": 9, "frequency": 1}
    tables = []
    for relative, when in ((True, window), (False, {**window, "starting_epoch": 0, "ending_epoch": 6})):
        model, optimizer = optimizer_of(0.6)
        scheduler = distiller.load(model, optimizer, schedule(name, {**settings, "relative": relative}, when))
        tables.append([rates[0] for rates in pass_epochs(scheduler, 10)])
    assert tables[0] == [0.6] * 3 + tables[1][:7]


rates = st.floats(1e-4, 10.0)
shares = st.floats(0.01, 1.0)
counts = st.integers(1, 12)
SETTINGS: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "ConstantLR": st.fixed_dictionaries({"factor": shares, "total_iters": st.integers(0, 12)}),
    "CosineAnnealingLR": st.fixed_dictionaries({"T_max": counts, "eta_min": rates}),
    "CosineAnnealingWarmRestarts": st.fixed_dictionaries(
        {"T_0": counts, "T_mult": st.integers(1, 2), "eta_min": rates}
    ),
    "CyclicLR": st.fixed_dictionaries(
        {
            "base_lr": rates,
            "max_lr": rates,
            "step_size_up": counts,
            "step_size_down": st.none() | counts,
            "mode": st.sampled_from(["triangular", "triangular2", "exp_range"]),
            "gamma": shares,
            "scale_fn": st.none() | st.just(lambda at: 1 / (1 + at)),
            "scale_mode": st.sampled_from(["cycle", "iterations"]),
            "base_momentum": shares,
            "max_momentum": shares,
        }
    ),
    "ExponentialLR": st.fixed_dictionaries({"gamma": shares}),
    "LambdaLR": st.just({"lr_lambda": lambda epoch: 1 / (1 + epoch)}),
    "LinearLR": st.fixed_dictionaries({"start_factor": shares, "end_factor": shares, "total_iters": counts}),
    "MultiStepLR": st.fixed_dictionaries({"milestones": st.lists(st.integers(0, 20), min_size=1), "gamma": shares}),
    "OneCycleLR": st.fixed_dictionaries(
        {
            "max_lr": rates,
            "total_steps": st.integers(20, 40),
            "pct_start": st.floats(0.0, 0.99),
            "anneal_strategy": st.sampled_from(["cos", "linear"]),
            "three_phase": st.booleans(),
            "base_momentum": shares,
            "max_momentum": shares,
            "div_factor": st.floats(1.0, 50.0),
            "final_div_factor": st.floats(1.0, 50.0),
        }
    ),
    "PolynomialLR": st.fixed_dictionaries({"total_iters": counts, "power": st.floats(0.5, 4.0)}),
    "StepLR": st.fixed_dictionaries({"step_size": counts, "gamma": shares}),
}


@pytest.mark.parametrize("name", SETTINGS)
@given(st.data())
def test_rates_are_those_of_torchs_closed_form(name: str, data: st.DataObject) -> None:
    settings, base = data.draw(SETTINGS[name]), data.draw(rates)
    epoch = data.draw(st.integers(1, settings.get("total_steps", 25) - 1))
    (_, theirs), (_, mine) = optimizer_of(base), optimizer_of(base)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        getattr(torch.optim.lr_scheduler, name)(theirs, **settings).step(epoch)
    at_work = OURS[name](**settings).rates(mine)
    at_work.begin()
    at_work.step(epoch, None)
    for key in ("lr", "momentum"):
        assert mine.param_groups[0][key] == pytest.approx(theirs.param_groups[0][key], rel=1e-9, abs=1e-12)


@given(
    st.fixed_dictionaries(
        {
            "mode": st.sampled_from(["min", "max"]),
            "factor": st.floats(0.1, 0.9),
            "patience": st.integers(0, 3),
            "threshold": st.sampled_from([0.0, 0.01, 0.5]),
            "threshold_mode": st.sampled_from(["rel", "abs"]),
            "cooldown": st.integers(0, 3),
            "min_lr": st.sampled_from([0.0, 0.05, [0.01, 0.2]]),
            "eps": st.sampled_from([1e-8, 0.02]),
        }
    ),
    st.lists(st.sampled_from([0.5, 1.0, 1.1, 2.0, 3.0, float("nan")]), max_size=30),
)
def test_plateaus_are_those_of_torch(settings: dict[str, Any], figures: list[float]) -> None:
    (_, theirs), (_, mine) = optimizer_of(0.1, 0.4), optimizer_of(0.1, 0.4)
    reference = torch.optim.lr_scheduler.ReduceLROnPlateau(theirs, **settings)
    at_work = ReduceLROnPlateau(**settings).rates(mine)
    for epoch, figure in enumerate(figures):
        reference.step(figure)
        at_work.step(epoch + 1, {settings["mode"]: figure})
        assert [one["lr"] for one in mine.param_groups] == [one["lr"] for one in theirs.param_groups]


@given(st.integers(1, 9), st.integers(1, 4), st.integers(0, 2000))
def test_restarts_are_counted_exactly(first: int, factor: int, epoch: int) -> None:
    """At a restart the rate is the base rate, however many there were: torch's logarithm misses some."""
    scheduler = OURS["CosineAnnealingWarmRestarts"](first, factor)
    at, length = 0, first
    while at + length <= epoch:
        at, length = at + length, length * factor
    assert scheduler.rate(0.1, at) == pytest.approx(0.1, rel=1e-12)
    assert scheduler.rate(0.1, at + length - 1) == pytest.approx(
        0.05 * (1 + torch.tensor((length - 1) / length * torch.pi, dtype=torch.float64).cos().item()), rel=1e-9
    )


class TestGroups:
    def test_each_falls_from_its_own_base(self) -> None:
        model, optimizer = optimizer_of(0.1, 0.4)
        scheduler = distiller.load(model, optimizer)
        scheduler.add_policy(ExponentialLR(0.5), starting_epoch=0, ending_epoch=3)
        assert list(pass_epochs(scheduler, 3)) == [[0.1, 0.4], [0.05, 0.2], [0.025, 0.1]]

    def test_settings_and_functions_by_group(self) -> None:
        model, optimizer = optimizer_of(0.1, 0.4)
        scheduler = distiller.load(model, optimizer)
        scheduler.add_policy(CyclicLR((0.0, 1.0), (1.0, 2.0), 2), starting_epoch=0, ending_epoch=2)
        scheduler.add_policy(MultiplicativeLR([lambda e: 0.5, lambda e: 0.25]), starting_epoch=3, ending_epoch=5)
        assert list(pass_epochs(scheduler, 5)) == [[0.0, 1.0], [0.5, 1.5], [1.0, 2.0], [1.0, 2.0], [0.5, 0.5]]

    def test_one_that_is_added_in_the_run_falls_from_what_it_holds(self) -> None:
        model, optimizer = optimizer_of(0.1)
        scheduler = distiller.load(model, optimizer)
        scheduler.add_policy(ExponentialLR(0.5), starting_epoch=0, ending_epoch=5)
        seen = []
        for epoch, found in enumerate(pass_epochs(scheduler, 4)):
            seen.append(found)
            if epoch == 1:
                optimizer.add_param_group({"params": [nn.Parameter(torch.ones(1))], "lr": 0.8})
        assert seen == [[0.1], [0.05], [0.025, 0.2], [0.0125, 0.1]]

    def test_a_rate_that_is_a_tensor_stays_one(self) -> None:
        model, optimizer = optimizer_of(0.5)
        optimizer.param_groups[0]["lr"] = rate = torch.tensor(0.5)
        scheduler = distiller.load(model, optimizer)
        scheduler.add_policy(ExponentialLR(0.5), starting_epoch=0, ending_epoch=2)
        scheduler.add_policy(MultiplicativeLR(lambda epoch: 0.5), starting_epoch=2, ending_epoch=4)
        assert list(pass_epochs(scheduler, 5)) == [[0.5], [0.25], [0.125], [0.0625], [0.03125]]
        assert optimizer.param_groups[0]["lr"] is rate

    @pytest.mark.parametrize("scheduler", [CyclicLR(0.1, 0.2, 1), OneCycleLR(0.2, total_steps=4, pct_start=0.5)])
    def test_momentum_is_the_first_beta_of_adam(self, scheduler: Any) -> None:
        model = nn.Linear(1, 1)
        optimizer = torch.optim.Adam(model.parameters(), betas=(0.5, 0.99))
        at_work = scheduler.rates(optimizer)
        at_work.begin()
        assert optimizer.param_groups[0]["betas"] == pytest.approx((scheduler.max_momentum, 0.99))
        at_work.step(1, None)
        assert optimizer.param_groups[0]["betas"] == pytest.approx((scheduler.base_momentum, 0.99))


class TestTwoPolicies:
    def test_a_warm_up_and_then_a_fall_share_the_base_rate(self) -> None:
        model, optimizer = optimizer_of(0.8)
        scheduler = distiller.load(model, optimizer)
        scheduler.add_policy(StepLR(4, 0.5), starting_epoch=4, ending_epoch=12)
        scheduler.add_policy(LinearLR(0.25, total_iters=3), starting_epoch=0, ending_epoch=4)
        assert [found[0] for found in pass_epochs(scheduler, 9)] == pytest.approx(
            [0.2, 0.4, 0.6, 0.8, 0.8, 0.4, 0.4, 0.4, 0.2], rel=1e-12
        )


class TestPlateau:
    def test_figures_come_from_the_callback(self) -> None:
        model, optimizer = optimizer_of(1.0)
        scheduler = distiller.load(model, optimizer)
        scheduler.add_policy(ReduceLROnPlateau("max", 0.5, patience=1), starting_epoch=0, ending_epoch=9)
        figures = [{"min": 9.0, "max": accuracy} for accuracy in (0.5, 0.6, 0.6, 0.6, 0.7, 0.1, 0.2, 0.3)]
        assert [found[0] for found in pass_epochs(scheduler, 8, figures)] == [1.0] * 4 + [0.5] * 3 + [0.25]

    def test_a_figure_of_another_name(self) -> None:
        model, optimizer = optimizer_of(1.0)
        scheduler = distiller.load(model, optimizer)
        plateau = ReduceLROnPlateau(factor=0.5, patience=0, metric="val_loss")
        scheduler.add_policy(plateau, starting_epoch=0, ending_epoch=9)
        figures = [{"val_loss": 1.0, "min": float(-epoch)} for epoch in range(3)]
        assert [found[0] for found in pass_epochs(scheduler, 3, figures)] == [1.0, 1.0, 0.5]

    def test_steps_down_are_logged_if_asked(self, caplog: pytest.LogCaptureFixture) -> None:
        for verbose in (True, False):
            model, optimizer = optimizer_of(1.0)
            scheduler = distiller.load(model, optimizer)
            scheduler.add_policy(
                ReduceLROnPlateau(factor=0.5, patience=0, verbose=verbose), starting_epoch=0, ending_epoch=9
            )
            caplog.clear()
            with caplog.at_level("INFO"):
                list(pass_epochs(scheduler, 2, [{"min": 1.0}] * 2))
            assert ("epoch 2: rate 0.5" in caplog.text) == verbose
