"""What Distiller's regularizers take without a word, or stumble over at the first mini-batch, is said at load."""

from __future__ import annotations

import math
from typing import Any

import pytest

from prunus.errors import NoEffect, RecipeError, RunError, SettingError
from prunus.recipes import distiller
from prunus.recipes.distiller import DistillerScheduler
from prunus.recipes.distiller.regularizers import (
    REGULARIZERS,
    GroupLassoRegularizer,
    GroupVarianceRegularizer,
    L1Regularizer,
)
from tests.recipes.distiller.loops import run, sgd
from tests.recipes.distiller.pruner_examples import convolutional
from tests.recipes.distiller.regularizer_examples import EXAMPLES, L1, LASSO, VARIANCE, ours, schedule

every = pytest.mark.parametrize("name", REGULARIZERS)
TEXT = """\
regularizers:
  mine:
    class: {kind}
    reg_regims:
      conv1.weight: {first}
      module.fc.weight: {second}
{more}policies:
  - {{regularizer: {{instance_name: mine}}, epochs: [0]}}
"""


def fails(source: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        ours(source)


def faults(kind: str, first: str, second: str, more: str = "") -> list[str]:
    text = TEXT.format(kind=kind, first=first, second=second, more=f"    {more}\n" if more else "")
    model = convolutional()
    return [str(one) for one in distiller.check(text, model, sgd(model)) if one.severity == "error"]


def notices(scheduler: DistillerScheduler) -> list[str]:
    return [notice.message for notice in scheduler.notices]


@every
@pytest.mark.parametrize("strength", [-0.1, math.inf, math.nan, "0.1", True, None])
def test_strengths(name: str, strength: object) -> None:
    regimes = {key: [strength, one[1]] if isinstance(one, list) else strength for key, one in EXAMPLES[name][0].items()}
    fails(schedule(name, regimes), r"(reg_regims|weight).* is ")


@every
@pytest.mark.parametrize("criterion", ["Mean", "mean_abs", "L2", 3, True])
def test_criteria(name: str, criterion: Any) -> None:
    fails(schedule(name, EXAMPLES[name][0], criterion), "threshold_criteria is ")


@every
def test_nothing_to_regularize(name: str) -> None:
    fails(schedule(name, {}), "reg_regims is empty")
    source = schedule(name, {})
    del source["regularizers"]["mine"]["reg_regims"]
    fails(source, f"{name} lacks reg_regims")


@every
def test_unknown_keys_and_names(name: str) -> None:
    source = schedule(name, EXAMPLES[name][0])
    source["regularizers"]["mine"]["threshold_criterion"] = "Max"
    fails(source, "unknown key 'threshold_criterion' of .*Did you mean 'threshold_criteria'")
    regime = next(iter(EXAMPLES[name][0].values()))
    fails(schedule(name, {"conv1.wieght": regime}), "no parameter 'conv1.wieght'. Did you mean 'conv1.weight'")


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ("Filter", "'Filter', which is unknown. Did you mean 'Filters'"),
        ("3d", "'3d', which is unknown"),
        ("Rows+", "'', which is unknown"),
        ("Rows, Cols", "'Rows, Cols', which is unknown"),
        ("Rows+Colls", "'Colls', which is unknown. Did you mean 'Cols'"),
        ("Rows+Rows", "'Rows[+]Rows', expected each group once"),
        ("3D+Filters", "'3D[+]Filters', expected each group once"),
    ],
)
def test_groups(groups: str, message: str) -> None:
    fails(schedule(LASSO, {"fc.weight": [0.1, groups]}), f"reg_regims of fc.weight is {message}")


@pytest.mark.parametrize("groups", ["2D", "4D", "Rows", "Channels+4D", "channels"])
def test_the_variance_is_that_of_channels(groups: str) -> None:
    fails(schedule(VARIANCE, {"conv2.weight": [0.1, groups]}), "reg_regims of conv2.weight is ")


@pytest.mark.parametrize("criterion", [None, "Max"])
@pytest.mark.parametrize(
    ("kind", "parameter", "group", "wanted"),
    [
        *((LASSO, "fc.weight", group, "4") for group in ("2D", "3D", "Filters")),
        *((LASSO, "conv1.weight", group, "2") for group in ("Rows", "Cols")),
        (LASSO, "fc.bias", "Channels", "2 or 4"),
        (LASSO, "fc.bias", "Rows", "2"),
        (VARIANCE, "fc.bias", "Channels", "2 or 4"),
    ],
)
def test_shapes(kind: str, parameter: str, group: str, wanted: str, criterion: str | None) -> None:
    message = rf"{group} takes weights of {wanted} dimensions, {parameter} has shape \["
    fails(schedule(kind, {parameter: [0.1, group]}, criterion), message)


def test_shapes_of_sums() -> None:
    fails(schedule(LASSO, {"fc.weight": [0.1, "Rows+4D"]}), r"4D takes weights of 4 dimensions, fc.weight has shape")


@pytest.mark.parametrize(
    ("parameter", "groups"), [("conv1.weight", "4D"), ("fc.weight", "Rows+Cols"), ("conv1.weight", "Channels+4D")]
)
def test_what_has_no_threshold(parameter: str, groups: str) -> None:
    ours(schedule(LASSO, {parameter: [0.1, groups]}))
    found = rf"{groups.replace('+', '[+]')} of {parameter} with shape \["
    fails(schedule(LASSO, {parameter: [0.1, groups]}, "Max"), f"threshold_criteria takes one of 2D, .*found {found}")


def test_groups_of_the_class_without_groups() -> None:
    """The heading "Group regularization" of Distiller's documentation names L1Regularizer."""
    hint = "L1Regularizer takes a strength alone, [strength, group] is for GroupLassoRegularizer"
    assert faults(L1, "[0.1, 3D]", "0.1") == [f"<text>:5:21: the regime of conv1.weight is a list; {hint}"]
    assert len(faults(L1, "[0.1, 3D]", "[0.1]")) == 2


def test_a_strength_without_a_group() -> None:
    hint = "GroupLassoRegularizer takes [strength, group], a strength alone is for L1Regularizer"
    assert faults(LASSO, "[0.1, 3D]", "0.1") == [f"<text>:6:25: the regime of module.fc.weight is 0.1; {hint}"]


def test_all_faults_of_shape_come_together_at_their_places() -> None:
    found = faults(LASSO, "[0.1, Rows]", "[0.1, 2D+4D]", "threshold_criteria: Max")
    assert [one.split(": ")[0] for one in found] == ["<text>:5:7", "<text>:6:7", "<text>:6:7", "<text>:6:7"]


@pytest.mark.parametrize(
    "regime", [0.1, "3D", (0.1,), (0.1, "3D", 1), (0.1, 3), ("3D", 0.1), (-0.1, "3D"), (0.1, "3D+2d")]
)
def test_the_same_from_code(regime: Any) -> None:
    for kind in (GroupLassoRegularizer, GroupVarianceRegularizer):
        with pytest.raises(SettingError, match=r"^reg_regims of conv1.weight is "):
            kind({"conv1.weight": regime})


def test_code_without_groups() -> None:
    with pytest.raises(SettingError, match=r"^reg_regims of fc.weight is \(0.1, 'Rows'\), expected a number"):
        L1Regularizer({"fc.weight": (0.1, "Rows")})


@every
def test_the_strength_as_a_threshold_is_said(name: str) -> None:
    assert not any("threshold" in text for text in notices(ours(schedule(name, EXAMPLES[name][0]))))
    said = notices(ours(schedule(name, EXAMPLES[name][0], "Max")))
    assert "the strengths are the thresholds too, as in Distiller" in said


def test_a_mean_that_is_not_distillers_is_said() -> None:
    regimes = {"conv1.weight": [0.1, "3D"], "fc.weight": [0.1, "Rows"]}
    (said,) = (text for text in notices(ours(schedule(LASSO, regimes, "Mean_Abs"))) if "mean" in text)
    assert said.startswith("fc.weight: Mean_Abs of Rows is the mean; Distiller divides the sum by 5, the size of")
    assert not any("mean" in text for text in notices(ours(schedule(LASSO, regimes, "Max"))))


@every
def test_keep_mask_without_a_threshold_changes_nothing(name: str) -> None:
    with pytest.warns(NoEffect, match="keep_mask changes nothing: the regularizer has no threshold_criteria"):
        ours(schedule(name, EXAMPLES[name][0], args={"keep_mask": True}))


def test_keep_mask_acts_after_the_last_firing() -> None:
    said = notices(ours(schedule(L1, EXAMPLES[L1][0], "Max", {"keep_mask": True}, (0, 4, 2))))
    assert any("keep_mask acts after epoch 2" in text for text in said)


@every
def test_frozen_parameters(name: str) -> None:
    model = convolutional()
    model.conv2.weight.requires_grad_(False)
    with pytest.warns(NoEffect, match="conv2.weight is frozen: what it is charged changes nothing"):
        distiller.load(model, sgd(model), schedule(name, EXAMPLES[name][0]))


class TestVariance:
    def test_one_channel(self) -> None:
        fails(schedule(VARIANCE, {"conv1.weight": [0.1, "Channels"]}), "variance takes 2 channels, conv1.weight has 1")

    def test_channels_of_one_length(self) -> None:
        model = convolutional()
        model.conv2.weight.data.fill_(0.5)
        with pytest.raises(RunError, match="all channels of conv2.weight are of one length"):
            distiller.load(model, sgd(model), schedule(VARIANCE, EXAMPLES[VARIANCE][0]))

    def test_a_run_that_comes_to_that_is_stopped(self) -> None:
        scheduler = ours(schedule(VARIANCE, EXAMPLES[VARIANCE][0]))
        run(scheduler, 3)
        scheduler.on_epoch_begin(3)
        scheduler.model.conv2.weight.data.zero_()
        loss = scheduler.model.fc.weight.sum()
        with pytest.raises(RunError, match=r"conv2.weight are of one length"):
            scheduler.before_backward_pass(3, 0, 1, loss)
