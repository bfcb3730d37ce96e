"""What Distiller's pruners take without a word, or stumble over in mid-training, is said when the file is read."""

from __future__ import annotations

import math
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from prunus.errors import NoEffect, RecipeError, RunError, ScoreError
from prunus.recipes import distiller
from prunus.recipes.distiller import DistillerScheduler
from prunus.recipes.distiller.pruners import PRUNERS
from tests.recipes.distiller.loops import run, sgd
from tests.recipes.distiller.pruner_examples import (
    AGP,
    EXAMPLES,
    FILTERS,
    HALF,
    SPLICING,
    convolutional,
    ours,
    schedule,
)

L1, L2_AGP = "L1RankedStructureParameterPruner", "L2RankedStructureParameterPruner_AGP"
RANKED = [name for name in PRUNERS if "group_type" in EXAMPLES[name]]
GRADUAL = [name for name in PRUNERS if name.endswith("_AGP")]
SETTLED = [name for name in RANKED if "desired_sparsity" in EXAMPLES[name]]
SEEDED = [name for name in PRUNERS if "seed" in PRUNERS[name].__dataclass_fields__]
FILTERS_ONLY = [name for name in RANKED if "Blocks" not in PRUNERS[name].group_types]


def loading(name: str, settings: dict[str, Any], **timing: Any) -> DistillerScheduler:
    source = schedule(name, settings)
    if timing:
        policy = source["policies"][0]
        source["policies"] = [{"pruner": policy["pruner"], **timing}]
    model = convolutional()
    return distiller.load(model, sgd(model), source)


def fails(name: str, settings: dict[str, Any], message: str, **timing: Any) -> None:
    with pytest.raises(RecipeError, match=message):
        loading(name, settings, **timing)


def notices(scheduler: DistillerScheduler) -> str:
    return " | ".join(notice.message for notice in scheduler.notices)


class Shared(nn.Module):
    """The layers of the example, with one ReLU for both."""

    def __init__(self, model: nn.Sequential) -> None:
        super().__init__()
        self.conv1, self.conv2, self.fc, self.relu = model.conv1, model.conv2, model.fc, nn.ReLU(inplace=True)

    def forward(self, images: Tensor) -> Tensor:
        return self.fc(self.relu(self.conv2(self.relu(self.conv1(images)))).flatten(1))


@pytest.mark.parametrize("name", RANKED)
class TestRanked:
    def test_another_word_than_leader(self, name: str) -> None:
        message = "group_dependency is 'leader', which is unknown. Did you mean 'Leader'"
        fails(name, {**EXAMPLES[name], "group_dependency": "leader"}, message)

    def test_an_unknown_group(self, name: str) -> None:
        fails(name, {**EXAMPLES[name], "group_type": "Filter"}, "group_type is 'Filter', which is unknown.*'Filters'")

    def test_a_matrix_has_no_filters(self, name: str) -> None:
        settings = {key: value for key, value in EXAMPLES[name].items() if key != "kwargs"}
        settings |= {"group_type": "Filters", "weights": "fc.weight"}
        fails(name, settings, r"Filters takes weights of 4 dimensions, fc.weight has shape \[5, 16\]")

    def test_a_block_shape_without_blocks(self, name: str) -> None:
        settings = {**EXAMPLES[name], "group_type": "Filters", "kwargs": {"block_shape": [1, 2, 1, 1]}}
        fails(name, settings, "kwargs with block_shape is for Blocks alone, and group_type is Filters")

    def test_names_come_once(self, name: str) -> None:
        fails(
            name, {**EXAMPLES[name], "weights": ["conv2.weight", "conv2.weight"]}, "weights names 'conv2.weight' twice"
        )
        fails(name, {**EXAMPLES[name], "weights": []}, "weights is empty")

    def test_one_name_is_a_name_and_no_set_of_letters(self, name: str) -> None:
        settings = {**EXAMPLES[name], "weights": "conv2.weight"}
        scheduler = loading(name, settings, starting_epoch=1, ending_epoch=6, frequency=2)
        assert [target.name for target in scheduler.policies[0].policy.action.chosen.all] == ["conv2.weight"]


@pytest.mark.parametrize("name", sorted({*RANKED} - {*FILTERS_ONLY}))
def test_members_that_do_not_match_the_leader(name: str) -> None:
    settings = {key: value for key, value in EXAMPLES[name].items() if key != "kwargs"}
    settings |= {"group_type": "Channels", "weights": ["conv1.weight", "conv2.weight"], "group_dependency": "Leader"}
    fails(name, settings, "conv2.weight has 4 groups and the Leader conv1.weight 1")


@pytest.mark.parametrize("name", GRADUAL + ["AutomatedGradualPruner"])  # noqa: RUF005
class TestGradual:
    @pytest.mark.parametrize(("low", "high"), [(0.5, 0.5), (0.5, 0.4), (0.5, 1.5), (-0.1, 0.5), (0.5, 90)])
    def test_sparsities_that_do_not_rise_inside_0_to_1(self, name: str, low: float, high: float) -> None:
        fails(name, {**EXAMPLES[name], "initial_sparsity": low, "final_sparsity": high}, "(initial|final)_sparsity is")

    def test_one_firing(self, name: str) -> None:
        message = "needs at least 2 firings, this policy fires only in epoch 1"
        fails(name, EXAMPLES[name], message, starting_epoch=1, ending_epoch=4, frequency=3)
        fails(name, EXAMPLES[name], message, epochs=[1])

    def test_a_list_of_epochs_goes_by_the_place_in_it(self, name: str) -> None:
        run(loading(name, EXAMPLES[name], epochs=[1, 2, 5]), 6)

    def test_a_beginning_at_zero_does_nothing_at_first(self, name: str) -> None:
        run(loading(name, {**EXAMPLES[name], "initial_sparsity": 0.0}, epochs=[1, 3]), 2)


@pytest.mark.parametrize("name", SETTLED)
@pytest.mark.parametrize("level", [-0.1, 1.5, "0.5", None, True])
def test_a_share_outside_0_to_1(name: str, level: object) -> None:
    fails(name, {**EXAMPLES[name], "desired_sparsity": level}, "desired_sparsity is")


@pytest.mark.parametrize("name", SETTLED)
@pytest.mark.parametrize("level", [0.0, 0.01])
def test_a_share_of_nothing_does_nothing(name: str, level: float) -> None:
    tosses = "Bernoulli" in name  # there the count is random
    said = pytest.warns(NoEffect, match="less than one, so nothing goes") if level and not tosses else nullcontext()
    with said:
        scheduler = ours(name, {**EXAMPLES[name], "desired_sparsity": level})
    run(scheduler, 4)
    assert tosses or scheduler.sparsity() == 0.0


@pytest.mark.parametrize("name", FILTERS_ONLY)
@pytest.mark.parametrize("group", ["Channels", "Rows", "Blocks"])
def test_filters_only(name: str, group: str) -> None:
    fails(name, {**EXAMPLES[name], "group_type": group}, f"group_type is '{group}', which is unknown")


@pytest.mark.parametrize("name", SEEDED)
@pytest.mark.parametrize("seed", [-1, 0.5, True, 2**70])
def test_seeds(name: str, seed: object) -> None:
    fails(name, {**EXAMPLES[name], "seed": seed}, "seed is")


@pytest.mark.parametrize("name", PRUNERS)
def test_an_unknown_key(name: str) -> None:
    fails(name, {**EXAMPLES[name], "weigths": "fc.weight"}, "unknown key 'weigths'")


@pytest.mark.parametrize("name", PRUNERS)
def test_a_missing_key(name: str) -> None:
    first, *rest = (key for key, field in PRUNERS[name].__dataclass_fields__.items() if key in EXAMPLES[name])
    fails(name, {key: EXAMPLES[name][key] for key in rest}, rf"{name} lacks .*{first}")


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("SensitivityPruner", {"sensitivities": {"fc.weight": -0.5}}, "sensitivities of fc.weight is -0.5"),
        ("SensitivityPruner", {"sensitivities": {"fc.weight": "0.5"}}, "fc.weight is the text '0.5'"),
        ("SensitivityPruner", {"sensitivities": {"fc.weight": math.nan}}, "fc.weight is"),
        ("SensitivityPruner", {"sensitivities": {}}, "sensitivities is empty"),
        ("SparsityLevelParameterPruner", {"levels": {"fc.weight": 1.5}}, "levels of fc.weight is 1.5"),
        ("SparsityLevelParameterPruner", {"levels": {"*": -0.5}}, r"levels of \* is -0.5"),
        ("MagnitudeParameterPruner", {"thresholds": {"fc.weight": 0.5}}, r"thresholds has no '\*'"),
        ("MagnitudeParameterPruner", {"thresholds": {"*": -0.5}}, r"thresholds of \* is -0.5"),
        ("SplicingPruner", {"sensitivities": {"*": -1.0}, **SPLICING}, r"sensitivities of \* is -1.0"),
        ("SplicingPruner", {"sensitivities": {"*": 1}, **SPLICING, "low_thresh_mult": 2}, "low_thresh_mult is 2"),
        ("SplicingPruner", {"sensitivities": {"*": 1}, **SPLICING, "hi_thresh_mult": -2}, "hi_thresh_mult is -2"),
        ("SplicingPruner", {"sensitivities": {"*": 1}, **SPLICING, "sensitivity_multiplier": -1}, "_multiplier is -1"),
        ("BaiduRNNPruner", {**EXAMPLES["BaiduRNNPruner"], "q": -1}, "q is -1"),
        ("BaiduRNNPruner", {**EXAMPLES["BaiduRNNPruner"], "ramp_epoch_offset": 1.5}, "ramp_epoch_offset is"),
        (
            "BaiduRNNPruner",
            {**EXAMPLES["BaiduRNNPruner"], "ramp_epoch_offset": 6},
            "ramp_epoch_offset is 6, expected at",
        ),
        ("BaiduRNNPruner", {**EXAMPLES["BaiduRNNPruner"], "ramp_slope_mult": -1}, "ramp_slope_mult is -1"),
        ("StructureParameterPruner", {"reg_regims": {"fc.weight": [0.1, "4D"]}}, "fc.weight is '4D', which is unknown"),
        (
            "StructureParameterPruner",
            {"reg_regims": {"fc.weight": [0.1, "Rows+Cols"]}},
            "'Rows.Cols', which is unknown",
        ),
        ("StructureParameterPruner", {"reg_regims": {"fc.weight": [-1, "Rows"]}}, "reg_regims of fc.weight is -1"),
        ("StructureParameterPruner", {"reg_regims": {"fc.weight": [0.1]}}, "fc.weight has 1 values, expected 2"),
        ("StructureParameterPruner", {"reg_regims": {"fc.weight": 0.1}}, "fc.weight is 0.1, expected a list"),
        ("StructureParameterPruner", {"reg_regims": {"fc.weight": [0.1, "2D"]}}, r"2D takes weights of 4.*\[5, 16\]"),
        ("StructureParameterPruner", {"reg_regims": {"fc.weight": [0.1, "Filters"]}}, "Filters takes weights of 4"),
        ("StructureParameterPruner", {"reg_regims": {"conv1.weight": [0.1, "Rows"]}}, "Rows takes weights of 2 dim"),
        ("StructureParameterPruner", {"reg_regims": {}}, "reg_regims is empty"),
        ("StructureParameterPruner", {"threshold_criteria": "L2"}, "threshold_criteria is 'L2', which is unknown"),
        (L1, {**FILTERS, **HALF, "group_size": 2}, "group_size is 2, expected 1"),
        (L1, {**FILTERS, **HALF, "noise": 1.5}, "noise is 1.5"),
        (L1, {**FILTERS, **HALF, "rounding_fn": "ceil"}, "unknown key 'rounding_fn'"),
        (L1, {**FILTERS, **HALF, "group_type": "Blocks"}, "kwargs with block_shape is missing"),
        (L2_AGP, {**FILTERS, **AGP, "group_size": 1}, "unknown key 'group_size'"),
        ("RandomLevelStructureParameterPruner", {**FILTERS, "sparsity_range": [0.5, 0.1]}, "the lower share first"),
        ("RandomLevelStructureParameterPruner", {**FILTERS, "sparsity_range": [0.5, 1.1]}, "sparsity_range is 1.1"),
        ("RandomLevelStructureParameterPruner", {**FILTERS, "sparsity_range": [0.5]}, "sparsity_range has 1 values"),
        ("FMReconstructionChannelPruner", {**FILTERS, **HALF}, "unknown class 'FMReconstructionChannelPruner'"),
    ],
)
def test_a_fault_is_named(name: str, settings: dict[str, Any], message: str) -> None:
    fails(name, {**EXAMPLES[name], **settings} if "reg_regims" in EXAMPLES.get(name, {}) else settings, message)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ([1, 8, 1], r"block_shape is \[1, 8, 1\], expected \[repetitions, depth, 1, 1\]"),
        ([1, 8, 3, 3], r"block_shape is \[1, 8, 3, 3\], expected"),
        ([1, 0, 1, 1], "block_shape is 0"),
        ([3, 1, 1, 1], "conv2.weight of shape .* does not fit: 4 rows do not divide into tiles of 3"),
        ([1, 3, 1, 1], "conv2.weight of shape .* does not fit: 16 kernels do not divide by 3"),
        ("1811", "block_shape is the text '1811'"),
    ],
)
def test_block_shapes(shape: object, message: str) -> None:
    settings = {**HALF, "group_type": "Blocks", "weights": "conv2.weight", "kwargs": {"block_shape": shape}}
    fails(L1, settings, message)


class TestWindows:
    def test_baidu_needs_a_frequency(self) -> None:
        fails("BaiduRNNPruner", EXAMPLES["BaiduRNNPruner"], "a list of epochs has none", epochs=[1, 3])

    @pytest.mark.parametrize("name", [name for name in PRUNERS if name.startswith("Activation")])
    def test_activations_need_an_epoch(self, name: str) -> None:
        message = "start in epoch 1 or later"
        fails(name, EXAMPLES[name], message, starting_epoch=0, ending_epoch=4, frequency=1)


class TestNotices:
    def test_rows_are_input_features(self) -> None:
        example = EXAMPLES["L2RankedStructureParameterPruner"]
        scheduler = ours("L2RankedStructureParameterPruner", example)
        assert "Rows here means input features (dimension 1) of fc.weight" in notices(scheduler)
        run(scheduler, 3)
        assert int((scheduler.model.fc.weight == 0).all(dim=0).sum()) == 8

    @pytest.mark.parametrize("name", ["SensitivityPruner", "SplicingPruner"])
    def test_when_deviations_are_measured(self, name: str) -> None:
        assert "deviations are those of the weights when this policy fires first" in notices(ours(name, EXAMPLES[name]))

    def test_what_a_star_means(self) -> None:
        said = notices(ours("SensitivityPruner", {"sensitivities": {"*": 0.5}}))
        assert "'*' means 6 more parameters here, 3 of them biases and norms" in said

    def test_what_has_no_deviation(self) -> None:
        model = nn.Sequential(nn.Linear(3, 1))
        with pytest.warns(NoEffect, match="0.bias has one element, so no deviation"):
            distiller.load(model, sgd(model), schedule("SensitivityPruner", {"sensitivities": {"*": 0.5}}))

    def test_which_filters_go(self) -> None:
        name = "ActivationMeanRankedFilterPruner"
        assert "the most active filters go" in notices(ours(name, EXAMPLES[name]))
        assert "active" not in notices(ours(name, {**EXAMPLES[name], "drop_least": True}))

    def test_the_mean_of_columns(self) -> None:
        said = notices(ours("StructureParameterPruner", EXAMPLES["StructureParameterPruner"]))
        assert "fc.weight: Mean_Abs of Cols is the mean; Distiller divides the sum by 16" in said


class TestActivations:
    name = "ActivationAPoZRankedFilterPruner"

    def test_no_module_stands_for_a_parameter(self) -> None:
        model = convolutional()
        del model.relu2
        source = schedule(self.name, EXAMPLES[self.name])
        looked = r"weights\[1\]: .*conv2.weight \(by Distiller's rule relu2; .*\. Did you mean 'relu1'"
        with pytest.raises(RecipeError, match=looked):
            distiller.load(model, sgd(model), source)
        source["pruners"]["mine"]["activations"] = {"conv2.weight": "conv2"}
        run(distiller.load(model, sgd(model), source), 4)

    def test_a_layer_does_not_stand_for_itself_unasked(self) -> None:
        model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten())
        source = schedule(self.name, {**HALF, "group_type": "Filters", "weights": "0.weight"})
        with pytest.raises(RecipeError, match="no module is known whose activations stand for 0.weight"):
            distiller.load(model, sgd(model), source)

    def test_a_module_that_the_model_lacks_is_named_with_its_line_whatever_the_graph_says(self) -> None:
        text = """
pruners:
  mine:
    class: ActivationAPoZRankedFilterPruner
    group_type: Filters
    desired_sparsity: 0.5
    weights: [conv1.weight, module.conv2.weight]
    activations: {module.conv2.weight: rellu2}
policies:
  - pruner: {instance_name: mine}
    epochs: [1]
"""
        (fault,) = [one for one in distiller.check(text, convolutional()) if one.severity == "error"]
        assert str(fault) == (
            "<text>:8:40: the model has no module 'rellu2', whose activations shall stand for module.conv2.weight. "
            "Did you mean 'relu2'?"
        )
        run(distiller.load(model := convolutional(), sgd(model), text.replace("rellu2", "module.relu2")), 3)

    def test_where_no_module_has_the_name_the_graph_says_what_a_relu_reads(self) -> None:
        """One ReLU for two layers, as in torchvision's networks, ranks as one each would."""
        found = []
        for shared in (False, True):
            model = convolutional()
            if shared:
                model = Shared(model)
            settings = {**EXAMPLES[self.name], "weights": ["conv1.weight", "conv2.weight"]}
            scheduler = distiller.load(model, sgd(model), schedule(self.name, settings))
            run(scheduler, 4)
            found.append([scheduler.masks["conv1.weight"], scheduler.masks["conv2.weight"]])
        assert torch.equal(found[0][0], found[1][0]) and torch.equal(found[0][1], found[1][1])

    def test_modules_of_other_parameters(self) -> None:
        settings = {**EXAMPLES[self.name], "activations": {"fc.weight": "relu1"}}
        fails(self.name, settings, "activations names fc.weight, expected names that are among the weights")

    def test_a_shared_module(self) -> None:
        model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 1)).double()
        model.append(model[1])
        settings = {**HALF, "group_type": "Filters", "weights": "0.weight", "activations": {"0.weight": "1"}}
        scheduler = distiller.load(model, sgd(model), schedule(self.name, settings))
        scheduler.on_epoch_begin(0)
        with pytest.raises(RunError, match="called with 4 and with 2 channels; it is shared"):
            model(torch.rand(2, 1, 4, 4, dtype=torch.float64))
        scheduler.detach()

    def test_no_forward_pass_before(self) -> None:
        scheduler = ours(self.name, EXAMPLES[self.name])
        scheduler.on_epoch_begin(0)
        scheduler.on_epoch_end(0)
        with pytest.raises(RunError, match="no forward pass yet, so no activations to rank conv1.weight by"):
            scheduler.on_epoch_begin(1)


@pytest.mark.parametrize("name", ["SensitivityPruner", "MagnitudeParameterPruner", L1])
def test_weights_that_are_no_numbers(name: str) -> None:
    scheduler = ours(name, EXAMPLES[name])
    run(scheduler, 1)
    scheduler.model.conv1.weight.data[0] = math.nan
    with pytest.raises(ScoreError, match="conv1.weight holds NaN in epoch 1"):
        scheduler.on_epoch_begin(1)


def test_a_parameter_without_a_gradient() -> None:
    scheduler = ours("GradientRankedFilterPruner", EXAMPLES["GradientRankedFilterPruner"])
    run(scheduler, 1)
    scheduler.on_epoch_begin(1)
    scheduler.on_minibatch_begin(1, 0, 1)
    scheduler.model.fc(torch.ones(1, 16, dtype=torch.float64)).sum().backward()
    scheduler.model.conv1.weight.grad = None
    with pytest.raises(ScoreError, match="needs gradient="):
        scheduler.before_parameter_optimization(1, 0, 1, scheduler.optimizer)
