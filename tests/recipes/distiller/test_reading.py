"""What Distiller's parser swallowed is one error, with places and the nearest names; what it took is still taken."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from prunus.errors import NoEffect, RecipeError, RunError, SettingError
from prunus.recipes import distiller
from prunus.recipes.distiller import DistillerScheduler, PrunerArgs, PruningPolicy, check
from prunus.recipes.distiller.pruners import AutomatedGradualPruner
from tests.recipes.distiller.loops import network, sgd

GOOD = """\
version: 1
pruners:
  mine:
    class: AutomatedGradualPruner
    initial_sparsity: 0.1
    final_sparsity: 0.8
    weights: [0.weight]
policies:
  - pruner: {instance_name: mine}
    starting_epoch: 0
    ending_epoch: 5
    frequency: 2
"""


def load(text: str | dict[str, Any], model: nn.Module | None = None) -> DistillerScheduler:
    model = network() if model is None else model
    return distiller.load(model, sgd(model), text)


def faults(text: str | dict[str, Any], severity: str = "error") -> list[str]:
    return [str(fault) for fault in check(text, network()) if fault.severity == severity]


def changed(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new)


def test_the_good_one_loads() -> None:
    assert [policy.policy.name for policy in load(GOOD).policies] == [
        "AutomatedGradualPruner in epochs 0 to 5, every 2"
    ]
    assert check(GOOD, network()) == []


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("pruners:", "prunners:", "<text>:2:1: unknown section 'prunners'. Did you mean 'pruners'?"),
        ("version: 1", "version: 2", "<text>:1:10: version is 2, expected 1, the only one that there is"),
        ("version: 1", "quantizers: {}", "<text>:1:1: quantizers: quantizing is not supported here"),
        ("frequency", "freq", "<text>:12:5: unknown key 'freq' of policies[0]. Did you mean 'frequency'?"),
        ("    frequency: 2\n", "", "<text>:9:5: policies[0] lacks frequency (or a list of epochs)"),
        ("frequency: 2", "epochs: [1]", "has epochs and starting_epoch, ending_epoch, expected either the list or the"),
        (
            "{instance_name: mine}",
            "{instance_name: min}",
            "uses the pruner 'min', which pruners does not define. Did y",
        ),
        ("{instance_name: mine}", "{}", "<text>:9:13: pruner of policies[0] lacks instance_name"),
        (
            "{instance_name: mine}",
            "mine",
            "<text>:9:13: pruner of policies[0] is the text 'mine', expected instance_nam",
        ),
        ("mine}", "mine, keep: true}", "<text>:9:35: unknown key 'keep' of pruner in policies[0]"),
        (
            "mine}",
            "mine, args: {kep_mask: true}}",
            "unknown key 'kep_mask' of the args of a pruner. Did you mean 'keep_m",
        ),
        ("mine}", "mine, args: {keep_mask: 'False'}}", "keep_mask is the text 'False', expected true or false"),
        ("mine}", "mine, args: {mini_batch_pruning_frequency: -1}}", "mini_batch_pruning_frequency is -1, expected"),
        ("mine}", "mine, args: {mask_gradients: true}}", "mask_gradients needs mask_on_forward_only: true"),
        ("mine}", "mine, args: {levels: {0.weight: 0.5}}}", "levels changes nothing: AutomatedGradualPruner has none"),
        ("    starting", "    args: {}\n    starting", "args of policies[0] belongs one level deeper, into pruner or"),
        ("starting", "lr_scheduler: {instance_name: x}\n    starting", "has pruner and lr_scheduler, expected one"),
        ("ending_epoch: 5", "ending_epoch: 0", "ending_epoch is 0, expected more than starting_epoch 0"),
        ("frequency: 2", "frequency: 6", "frequency is 6, expected at most 5, the length of epochs 0 to 5"),
        ("frequency: 2", "frequency: 5", "gradual pruning needs at least 2 firings, this policy fires only in epoch 0"),
        ("starting_epoch: 0", "starting_epoch: -1", "<text>:10:21: policies[0]: starting_epoch is -1"),
        ("starting_epoch: 0", "starting_epoch: '0'", "starting_epoch of policies[0] is the text '0', expected a whole"),
        (
            "final_sparsity: 0.8",
            "final_sparsity: 0.1",
            "<text>:6:21: final_sparsity is 0.1, expected more than initial",
        ),
        ("final_sparsity: 0.8", "final_sparsity: 80", "final_sparsity is 80.0, expected a fraction between 0 and 1"),
        ("initial_sparsity: 0.1", "initial_sparsity: -0.1", "initial_sparsity is -0.1, expected a fraction"),
        (
            "initial_sparsity: 0.1",
            "initial: 0.1",
            "unknown key 'initial' of AutomatedGradualPruner. Did you mean 'initia",
        ),
        ("[0.weight]", "[0.wieght]", "<text>:7:15: the model has no parameter '0.wieght'. Did you mean '0.weight'?"),
        ("[0.weight]", "[0.weight, module.0.weight]", "'module.0.weight' is 0.weight, which is named above already"),
        ("[0.weight]", "[]", "weights is empty, expected at least one parameter name"),
        ("class: AutomatedGradualPruner", "class: AutomaticGradualPruner", "Did you mean 'AutomatedGradualPruner'?"),
        (
            "class: AutomatedGradualPruner",
            "klass: 1",
            "<text>:4:5: mine has no class, expected class: and its argument",
        ),
        ("class: AutomatedGradualPruner", "class: 3", "<text>:4:12: class is 3, expected a name"),
        ("policies:", "plans:", "policies is missing, expected a list of policies"),
    ],
)
def test_every_silent_failure_is_an_error(old: str, new: str, message: str) -> None:
    assert any(message in fault for fault in faults(changed(old, new))), faults(changed(old, new))
    with pytest.raises(RecipeError, match="the recipe cannot be used"):
        load(changed(old, new))


@pytest.mark.parametrize("empty", ["policies:\n", "policies: 3\n", "- 1\n", "pruners:\npolicies: []\n"])
def test_missing_parts_are_one_clean_error(empty: str) -> None:
    with pytest.raises(RecipeError):
        load(empty)


def test_all_faults_come_in_one_error() -> None:
    text = (
        changed("final_sparsity: 0.8", "final_sparsity: 2").replace("frequency: 2", "freq: 2").replace("n: 1", "n: 3")
    )
    with pytest.raises(RecipeError) as caught:
        load(text)
    assert [fault.line for fault in caught.value.faults] == [1, 6, 12]


def test_a_wrong_name_and_a_wrong_window_come_together() -> None:
    text = changed("[0.weight]", "[0.wieght]").replace("frequency: 2", "frequency: 5")
    assert len(faults(text)) == 2


def test_names_match_with_and_without_module() -> None:
    wrapped = nn.Sequential()
    wrapped.add_module("features", nn.DataParallel(network()))
    for name in ("features.0.weight", "features.module.0.weight", "module.features.0.weight"):
        scheduler = load(changed("[0.weight]", f"[{name}]"), wrapped)
        scheduler.on_epoch_begin(0)
        assert [*scheduler.masks] == ["features.module.0.weight"]
        said = [notice.message for notice in scheduler.notices]
        assert ("'module.' alone" in " ".join(said)) == (name != "features.module.0.weight")


def test_a_bare_string_is_one_exact_name() -> None:
    load(changed("[0.weight]", "0.weight"))
    assert "no parameter 'weight'" in faults(changed("[0.weight]", "weight"))[0]


def test_an_unused_component_warns() -> None:
    text = GOOD.replace(
        "policies:",
        "  spare: {class: AutomatedGradualPruner, initial_sparsity: 0, final_sparsity: 1, weights: [x]}\npolicies:",
    )
    with pytest.warns(NoEffect, match="<text>:8:3: spare is defined in pruners, no policy uses it"):
        load(text)


def test_a_duplicate_key_warns_with_both_lines_and_the_last_one_counts() -> None:
    text = changed("    final_sparsity: 0.8\n", "    final_sparsity: 0.8\n    final_sparsity: 0.5\n")
    with pytest.warns(NoEffect, match="<text>:7:5: key 'final_sparsity' again; it is already in line 6"):
        scheduler = load(text)
    assert scheduler.lines[0].component.final_sparsity == 0.5


def test_no_policy_warns() -> None:
    with pytest.warns(NoEffect, match="there is no policy"):
        load("policies: []\n")


def test_a_mapping_is_not_changed_and_loads_twice() -> None:
    source = {
        "pruners": {
            "a": {
                "class": "AutomatedGradualPruner",
                "initial_sparsity": 0,
                "final_sparsity": 1,
                "weights": ("0.weight",),
            }
        },
        "policies": [{"pruner": {"instance_name": "a"}, "epochs": [0, 3]}],
    }
    before = copy.deepcopy(source)
    assert len(load(source).policies) == len(load(source).policies) == 1
    assert source == before


def test_a_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "schedule.yaml"
    path.write_text(changed("[0.weight]", "[nothing]"), encoding="utf-8")
    with pytest.raises(RecipeError, match=r"schedule.yaml:7:15: the model has no parameter 'nothing'"):
        distiller.load(network(), None, path)


def test_tags_are_refused() -> None:
    with pytest.raises(RecipeError, match="tag '!!python/object/apply:os.system' is refused"):
        load("policies: !!python/object/apply:os.system [ls]\n")


def two(first: str, second: str, args: str = "{}") -> str:
    return f"""\
pruners:
  a: {{class: AutomatedGradualPruner, initial_sparsity: 0, final_sparsity: 0.5, weights: [0.weight, 4.weight]}}
  b: {{class: AutomatedGradualPruner, initial_sparsity: 0, final_sparsity: 0.9, weights: [module.4.weight]}}
policies:
  - {{pruner: {{instance_name: a}}, epochs: {first}}}
  - {{pruner: {{instance_name: b, args: {args}}}, epochs: {second}}}
"""


def test_two_pruners_of_one_parameter_in_one_epoch_are_an_error() -> None:
    (fault,) = faults(two("[0, 2, 4]", "[1, 4]"))
    assert fault.startswith("<text>:6:5: policies[0] and policies[1] both prune 4.weight in epoch 4")


def test_unless_they_take_turns_or_it_is_declared() -> None:
    assert faults(two("[0, 2, 4]", "[1, 3]")) == faults(two("[0, 1]", "[0, 1]", "{replace_masks: true}")) == []
    scheduler = load(two("[0, 1]", "[0, 1]", "{replace_masks: true}"))
    for epoch in range(2):
        scheduler.on_epoch_begin(epoch)
        scheduler.on_epoch_end(epoch)
    assert int((scheduler.model[4].weight == 0).sum()) == 72


def test_one_pruner_may_serve_many_policies() -> None:
    text = two("[0, 2]", "[1, 3]").replace("instance_name: b", "instance_name: a")
    scheduler = load(text.replace("  b:", "  # b:"))
    assert scheduler.lines[0].component is scheduler.lines[1].component


def test_nan_weights_are_reported() -> None:
    scheduler = load(GOOD)
    scheduler.model[0].weight.data[0, 0, 0, 0] = float("nan")
    with pytest.raises(ValueError, match=r"0.weight holds NaN in epoch 0"):
        scheduler.on_epoch_begin(0)


def test_flags_without_effect_are_said() -> None:
    with pytest.warns(NoEffect, match="use_double_copies has no lasting effect"):
        load(changed("mine}", "mine, args: {use_double_copies: true}}"))
    notices = load(changed("mine}", "mine, args: {keep_mask: true}}")).notices
    assert "masks last for ever" in notices[0].message


class TestAddPolicy:
    pruner = AutomatedGradualPruner(0.1, 0.9, "4.weight")

    def empty(self) -> DistillerScheduler:
        model = network()
        return distiller.load(model, sgd(model))

    def test_in_a_range_and_in_epochs(self) -> None:
        scheduler = self.empty()
        scheduler.add_policy(PruningPolicy(self.pruner, PrunerArgs(keep_mask=True)), starting_epoch=1, ending_epoch=4)
        scheduler.add_policy(AutomatedGradualPruner(0.1, 0.9, "0.weight"), epochs=[2, 5])
        assert [str(line.window) for line in scheduler.lines] == ["epochs 1 to 4", "epochs 2, 5"]

    @pytest.mark.parametrize(
        "when",
        [
            {},
            {"starting_epoch": 0},
            {"epochs": [1, 2], "starting_epoch": 1},
            {"epochs": [1, 2], "starting_epoch": 1, "ending_epoch": 2},
            {"epochs": []},
            {"epochs": [1, 1]},
            {"starting_epoch": 2, "ending_epoch": 2},
            {"starting_epoch": 0, "ending_epoch": 2, "frequency": 3},
        ],
    )
    def test_a_window_that_is_none_is_refused(self, when: dict[str, Any]) -> None:
        with pytest.raises(SettingError):
            self.empty().add_policy(self.pruner, **when)

    def test_conflicts_are_found_here_too_and_change_nothing(self) -> None:
        scheduler = self.empty()
        scheduler.add_policy(self.pruner, starting_epoch=0, ending_epoch=3)
        with pytest.raises(RecipeError, match=r"policies\[0\] and policies\[1\] both prune 4.weight in epoch 0"):
            scheduler.add_policy(self.pruner, epochs=[0, 5])
        assert len(scheduler.policies) == len(scheduler.lines) == 1

    def test_notices_come_once(self) -> None:
        scheduler = self.empty()
        scheduler.add_policy(AutomatedGradualPruner(0.1, 0.9, "module.4.weight"), epochs=[0, 5])
        scheduler.add_policy(AutomatedGradualPruner(0.1, 0.9, "0.weight"), epochs=[0, 5])
        assert len(scheduler.notices) == 1

    def test_a_second_try_finds_the_fault_again(self) -> None:
        scheduler, wrong = self.empty(), AutomatedGradualPruner(0.1, 0.9, "5.weight")
        for _ in range(2):
            with pytest.raises(RecipeError, match="no parameter '5.weight'"):
                scheduler.add_policy(wrong, epochs=[0, 5])

    def test_not_after_the_begin(self) -> None:
        scheduler = self.empty()
        scheduler.on_epoch_begin(0)
        with pytest.raises(RunError, match="the run has begun"):
            scheduler.add_policy(self.pruner, epochs=[3, 4])

    def test_code_and_file_give_equal_masks(self) -> None:
        by_file, by_code = load(GOOD), self.empty()
        by_code.add_policy(AutomatedGradualPruner(0.1, 0.8, "0.weight"), starting_epoch=0, ending_epoch=5, frequency=2)
        for scheduler in (by_file, by_code):
            scheduler.on_epoch_begin(0)
        assert torch.equal(by_file.masks["0.weight"], by_code.masks["0.weight"])
