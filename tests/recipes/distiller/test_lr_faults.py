"""What is wrong with a learning-rate scheduler is said when the file is read, at its line, with the nearest name."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from prunus.errors import RecipeError, RunError, SettingError
from prunus.recipes import distiller
from prunus.recipes.distiller.lr_schedulers import LambdaLR, MultiplicativeLR
from tests.recipes.distiller.lr_examples import EXAMPLES, IN_CODE, schedule
from tests.recipes.distiller.test_lr_values import optimizer_of

POLICY = "\npolicies:\n  - lr_scheduler: {instance_name: mine}\n    epochs: [0, 2]"
ONE_CYCLE = {"max_lr": 1.0, "total_steps": 10}

FAULTS: list[tuple[str, dict[str, Any], str]] = [
    ("ConstantLR", {"factor": 1.5}, "factor is 1.5, expected a fraction"),
    ("ConstantLR", {"total_iters": -1}, "total_iters is -1, expected a whole number of at least 0"),
    ("CosineAnnealingLR", {}, "CosineAnnealingLR lacks T_max"),
    ("CosineAnnealingLR", {"T_max": 0}, "T_max is 0, expected a whole number of at least 1"),
    (
        "CosineAnnealingLR",
        {"T_max": 5, "eta_max": 0.1},
        "unknown key 'eta_max' .*Did you mean 'eta_min'",
    ),
    ("CosineAnnealingWarmRestarts", {"T_0": 2, "T_mult": 1.5}, "T_mult is 1.5, expected a whole number"),
    ("CyclicLR", {"base_lr": 0.1, "max_lr": -1.0}, "max_lr is -1.0, expected a number of at least 0"),
    (
        "CyclicLR",
        {"base_lr": 0.1, "max_lr": 1.0, "mode": "triangle"},
        "mode is 'triangle', .*you mean 'triangular'",
    ),
    ("CyclicLR", {"base_lr": 0.1, "max_lr": 1.0, "step_size_up": 0}, "step_size_up is 0"),
    ("CyclicLR", {"base_lr": 0.1, "max_lr": 1.0, "step_size_down": -1}, "step_size_down is -1"),
    ("CyclicLR", {"base_lr": [0.1, 0.2], "max_lr": 1.0}, "base_lr has 2 entries, the optimizer has 1 parameter groups"),
    ("CyclicLR", {"base_lr": [], "max_lr": 1.0}, "base_lr is empty"),
    ("CyclicLR", {"base_lr": 0.1, "max_lr": 1.0, "max_momentum": 9}, "max_momentum is 9.0, .*at most 1"),
    ("CyclicLR", {"base_lr": 0.1, "max_lr": 1.0, "scale_fn": "x"}, "scale_fn of CyclicLR is a function, which a file"),
    ("CyclicLR", {"base_lr": 0.1, "max_lr": 1.0, "scale_mode": "cycles"}, "scale_mode is .*Did you mean 'cycle'"),
    ("ExponentialLR", {"gamma": "0.9"}, "gamma is the text '0.9', expected a number"),
    ("ExponentialLR", {"gamma": -0.9}, "gamma is -0.9, expected a number of at least 0"),
    ("ExponentialLR", {"gama": 0.9}, "unknown key 'gama' of ExponentialLR. Did you mean 'gamma'"),
    ("ExponentialLR", {"gamma": 0.9, "relative": "False"}, "relative is the text 'False', expected true or false"),
    ("LambdaLR", {"lr_lambda": "lambda epoch: 0.9"}, r"lr_lambda of LambdaLR is a function, .*add_policy\(LambdaLR\("),
    ("LambdaLR", {}, "lr_lambda of LambdaLR is a function"),
    ("LinearLR", {"start_factor": 0}, "start_factor is 0.0, expected a number greater than 0"),
    ("LinearLR", {"end_factor": 2}, "end_factor is 2.0, expected a fraction"),
    ("LinearLR", {"total_iters": 0}, "total_iters is 0"),
    ("MultiStepLR", {"milestones": []}, "milestones is empty"),
    ("MultiStepLR", {"milestones": [30, 60.5]}, r"milestones\[1\] is 60.5, expected a whole number"),
    ("MultiStepLR", {"milestones": [-3]}, "milestones is -3"),
    ("MultiStepLR", {"milestones": 30}, "milestones is 30, expected a list"),
    ("MultiStepMultiGammaLR", {"milestones": [3, 2], "gammas": [1, 1]}, r"milestones are \[3, 2\], expected .* rise"),
    (
        "MultiStepMultiGammaLR",
        {"milestones": [2, 3], "gammas": [1]},
        "gammas are 1, expected one for each of 2",
    ),
    ("MultiStepMultiGammaLR", {"milestones": [2], "gammas": [-1]}, "gammas is -1.0"),
    ("MultiplicativeLR", {"lr_lambda": 0.9}, "lr_lambda of MultiplicativeLR is a function"),
    ("OneCycleLR", {"max_lr": 1.0}, "total_steps does not say the length, expected total_steps alone, or epochs and"),
    ("OneCycleLR", {"max_lr": 1.0, "epochs": 5}, "epochs does not say the length"),
    ("OneCycleLR", {**ONE_CYCLE, "epochs": 5}, "total_steps does not say the length"),
    ("OneCycleLR", {"max_lr": 1.0, "total_steps": 0}, "total_steps is 0"),
    ("OneCycleLR", {**ONE_CYCLE, "pct_start": 30}, r"pct_start is 30.0, .*for 30 % write 0.3"),
    ("OneCycleLR", {**ONE_CYCLE, "anneal_strategy": "cosine"}, "anneal_strategy is 'cosine', .*Did you mean 'cos'"),
    ("OneCycleLR", {**ONE_CYCLE, "div_factor": 0}, "div_factor is 0.0"),
    ("OneCycleLR", {"max_lr": 1.0, "total_steps": 5}, "cycle has 5 epochs, and the policy sets the rate of epoch 8"),
    ("PolynomialLR", {"power": 2.0}, "T_max is missing, expected either T_max or, in torch's words, total_iters"),
    ("PolynomialLR", {"T_max": 5, "total_iters": 5}, "T_max is 5, beside total_iters 5"),
    ("PolynomialLR", {"total_iters": 0}, "total_iters is 0"),
    ("PolynomialLR", {"T_max": 5, "power": -1}, "power is -1.0"),
    ("ReduceLROnPlateau", {"mode": "minn"}, "mode is 'minn', .*Did you mean 'min'"),
    ("ReduceLROnPlateau", {"factor": 1.0}, "factor is 1.0, expected a number below 1"),
    ("ReduceLROnPlateau", {"patience": -1}, "patience is -1"),
    ("ReduceLROnPlateau", {"min_lr": [0.1, 0.2]}, "min_lr has 2 entries, the optimizer has 1 parameter groups"),
    ("ReduceLROnPlateau", {"relative": True}, "unknown key 'relative' of ReduceLROnPlateau"),
    ("StepLR", {"step_size": 0}, "step_size is 0"),
    ("StepLR", {"step_size": 2, "gamma": -1}, "gamma is -1.0"),
    ("StepLR", {"step_size": 2, "last_epoch": 3}, "unknown key 'last_epoch' of StepLR"),
]


@pytest.mark.parametrize(("name", "settings", "message"), FAULTS)
def test_it_is_refused_in_a_file(name: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        distiller.load(*optimizer_of(0.1), schedule(name, settings))


@pytest.mark.parametrize(
    ("line", "place", "message"),
    [
        ("class: StepLR\n    step_size: 2\n    gama: 0.5", "5:5", "unknown key 'gama'"),
        ("class: StepLR\n    step_size: 0", "4:16", "step_size is 0"),
        ("class: CyclicLR\n    base_lr: 0.1\n    max_lr: [1.0, 2.0]", "5:5", "max_lr has 2 entries"),
        ("class: LambdaLR\n    lr_lambda: f", "4:16", "lr_lambda of LambdaLR is a function"),
        (
            "class: SequentialLR",
            "3:12",
            "SequentialLR takes schedulers, which a file cannot hand over; give each",
        ),
        ("class: ChainedScheduler", "3:12", "ChainedScheduler takes schedulers"),
        ("class: SteppLR\n    step_size: 1", "3:12", "unknown class 'SteppLR' in lr_schedulers. Did you mean 'StepLR'"),
        ("class: ReduceLRonPlateau", "3:12", "Did you mean 'ReduceLROnPlateau'"),
    ],
)
def test_the_line_is_named(line: str, place: str, message: str) -> None:
    text = f"lr_schedulers:\n  mine:\n    {line}" + POLICY
    with pytest.raises(RecipeError, match=f"<text>:{place}: .*{message}"):
        distiller.load(*optimizer_of(0.1), text)


@pytest.mark.parametrize("kind", [LambdaLR, MultiplicativeLR])
def test_what_is_no_function_is_refused_in_code(kind: Any) -> None:
    for wrong in (0.9, [], [0.9]):
        with pytest.raises(SettingError, match="lr_lambda is .*, expected a function of the epoch"):
            kind(wrong)
    scheduler = distiller.load(*optimizer_of(0.1, 0.2))
    with pytest.raises(RecipeError, match="lr_lambda has 1 entries, the optimizer has 2 parameter groups"):
        scheduler.add_policy(kind([lambda epoch: 0.5]), epochs=[1])


@pytest.mark.parametrize("name", ["CyclicLR", "OneCycleLR"])
def test_momentum_cannot_be_cycled_where_there_is_none(name: str) -> None:
    model = nn.Linear(1, 1)
    optimizer = torch.optim.Adagrad(model.parameters())
    with pytest.raises(RecipeError, match="cycle_momentum needs momentum or betas, which Adagrad has not; say false"):
        distiller.load(model, optimizer, schedule(name, EXAMPLES[name]))
    distiller.load(model, optimizer, schedule(name, {**EXAMPLES[name], "cycle_momentum": False}))


@pytest.mark.parametrize("metrics", [None, {}, {"max": 0.5, "loss": 2.0}])
def test_a_plateau_without_its_figure(metrics: dict[str, float] | None) -> None:
    scheduler = distiller.load(*optimizer_of(0.1), schedule("ReduceLROnPlateau", {}))
    scheduler.on_epoch_begin(0)
    scheduler.on_epoch_end(0)
    scheduler.on_epoch_begin(1)
    given = ", ".join(metrics or {}) or "none"
    with pytest.raises(RunError, match=f"goes by the metric 'min', and the loop gave {given}: call on_epoch_end"):
        scheduler.on_epoch_end(1, metrics=metrics)


@pytest.mark.parametrize("name", sorted(set(EXAMPLES) - set(IN_CODE)))
def test_no_optimizer(name: str) -> None:
    with pytest.raises(RecipeError, match=f"{name} needs an optimizer"):
        distiller.load(nn.Linear(1, 1), None, schedule(name, EXAMPLES[name]))


def notices(name: str, settings: dict[str, Any], start: int, end: int) -> list[str]:
    window = {"starting_epoch": start, "ending_epoch": end, "frequency": 1}
    return [fault.message for fault in distiller.load(*optimizer_of(0.1), schedule(name, settings, window)).notices]


class TestNotices:
    def test_the_jump_of_a_policy_that_begins_late(self) -> None:
        (said,) = notices("ExponentialLR", {"gamma": 0.9}, 24, 200)
        assert said == (
            "policies[0]: the rate is 0.1 through epoch 24 and 0.00717898 in epoch 25: ExponentialLR counts from the "
            "begin of the run, as in Distiller; relative: true counts from the policy's start"
        )
        assert not notices("ExponentialLR", {"gamma": 0.9, "relative": True}, 24, 200)
        assert not notices("ExponentialLR", {"gamma": 0.9}, 0, 200)

    def test_no_jump_is_made_up(self) -> None:
        assert not notices("StepLR", {"step_size": 30}, 20, 60)
        (said,) = notices("StepLR", {"step_size": 30}, 30, 60)
        assert "the rate is 0.1 through epoch 30 and 0.01 in epoch 31" in said
        (said,) = notices("ConstantLR", {"factor": 0.5, "total_iters": 9}, 5, 60)
        assert "the rate is 0.05 through epoch 5 and 0.05 in epoch 6" in said

    def test_what_lies_behind_the_policy_or_the_formula(self) -> None:
        assert "does not change at 9: the policy" in notices("MultiStepLR", {"milestones": [3, 9]}, 0, 8)[0]
        assert not notices("MultiStepLR", {"milestones": [3, 8]}, 0, 8)
        assert "rises again after epoch 5" in notices("CosineAnnealingLR", {"T_max": 5}, 0, 8)[0]
        assert "stays 0 from epoch 5 on" in notices("PolynomialLR", {"T_max": 5}, 0, 8)[0]

    @pytest.mark.parametrize(("name", "epochs"), [("CyclicLR", 5), ("OneCycleLR", 9)])
    def test_cycles_count_epochs(self, name: str, epochs: int) -> None:
        assert f"cycle takes {epochs} epochs: Distiller steps once an epoch" in notices(name, EXAMPLES[name], 0, 8)[0]


def test_a_check_without_an_optimizer_does_not_ask_for_one() -> None:
    source = schedule("CyclicLR", {"base_lr": [0.1, 0.2], "max_lr": 1.0})
    assert not distiller.check(source, nn.Linear(1, 1))
    (fault, *_) = distiller.check(source, *optimizer_of(0.1))
    assert "base_lr has 2 entries" in fault.message
