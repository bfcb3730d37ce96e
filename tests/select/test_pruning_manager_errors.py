"""What the pruning manager refuses, in whose name, and what it offers instead."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from prunus.errors import SelectionError
from prunus.regularizers import RegL1
from prunus.select import PruningManager
from tests.select.test_pruning_manager import Net

LINEAR = ["torch.nn.Linear"]


def fault(*groups: Any, model: nn.Module | None = None) -> str:
    """Return the message with which the groups are refused."""
    with pytest.raises(SelectionError) as caught:
        PruningManager(model or Net(), groups)
    return str(caught.value)


def of(**settings: Any) -> str:
    """Return the message about one group named g that would otherwise be right."""
    return fault({"name": "g", "layer_types": LINEAR, **settings})


def reg(value: Any, **settings: Any) -> dict[str, Any]:
    return {"optimizer_settings": {"reg": value}, **settings}


def target(path: str, **settings: Any) -> dict[str, Any]:
    return reg({"_target_": path, **settings})


THEIRS = "src.callbacks.pruning.bregman.bregman_regularizers"
OURS = "prunus.regularizers"
TYPES = [
    ("torch.nn.layernorm.LayerNorm", "torch.nn has no 'layernorm'. Did you mean 'torch.nn.LayerNorm'?"),
    ("torch.nn.Linaer", "torch.nn has no 'Linaer'. Did you mean 'torch.nn.Linear'?"),
    ("Conv2d", "'Conv2d' is no dotted path such as 'package.module.Class'. Did you mean 'torch.nn.Conv2d'?"),
    ("torch..Linear", "'torch..Linear' is no dotted path"),
    ("speechbrain.lobes.Net", f"no module is named 'speechbrain'. Did you mean '{Net.__module__}.Net'?"),
    ("nowhere.Zzzz", "no module is named 'nowhere'. Neither the model nor torch.nn has a layer of such a name"),
    ("torch.optim.Adam", "layer type 'torch.optim.Adam' is not a subclass of torch.nn.Module"),
    ("torch.nn.functional.linear", "not a subclass of torch.nn.Module. Did you mean 'torch.nn.Linear'?"),
    (3, "layer type 3 is not a subclass of torch.nn.Module. Give a class, or its dotted name"),
    ("torch.nn.LSTM", "no layer with trainable parameters is of its layer_types (LSTM); the model has BatchNorm2d, "),
]
CASES: list[tuple[dict[str, Any], str]] = [
    *(({"layer_types": [kind]}, message) for kind, message in TYPES),
    ({"layer_types": "torch.nn.Linear"}, "layer_types is 'torch.nn.Linear', expected a list: ['torch.nn.Linear']"),
    # names
    ({"param_names": ["weight", "bais"]}, "param_names 'bais' is no parameter of its layers. Did you mean 'bias'?"),
    ({"param_names": ["fc.weight"]}, "holds 'fc.weight'; write 'weight' and the module 'fc' in module_name_patterns"),
    ({"param_names": "weight"}, "param_names is 'weight', expected a list: ['weight']"),
    ({"param_names": [1]}, "param_names holds 1, expected a name such as 'weight'"),
    # patterns
    ({"module_name_patterns": ["fc", "clasifier"]}, "'clasifier' finds none of its layers. Did you mean 'classifier'?"),
    ({"module_name_patterns": [".*conv.*"]}, "finds only what its other criteria rule out: conv1.weight, conv1.bias"),
    ({"module_name_patterns": ["*conv"]}, "'*conv', which is no regular expression: nothing to repeat"),
    ({"module_name_patterns": ["("]}, "module_name_patterns holds '(', which is no regular expression"),
    ({"module_name_patterns": [""]}, "module_name_patterns holds '', expected a regular expression"),
    ({"exclude_module_name_patterns": ["["]}, "exclude_module_name_patterns holds '[', which is no regular expression"),
    ({"exclude_module_name_patterns": ["norm"]}, "'norm' excludes none of its layers. Known: classifier, fc."),
    ({"exclude_module_name_patterns": ["f", "c"]}, "exclude all that it matches: fc.weight, fc.bias, classifier.w"),
    # keys and settings
    ({"layer_type": LINEAR}, "group 'g': it has the unknown key 'layer_type'. Did you mean 'layer_types'?"),
    ({"is_fallback": "yes"}, "is_fallback is 'yes', expected true or false"),
    ({"is_fallback": True}, "it is the fallback, which takes what others leave, so layer_types cannot act; remove"),
    ({"optimizer_settings": [1]}, "optimizer_settings is [1], expected a mapping"),
    ({"optimizer_settings": {"params": []}}, "optimizer_settings has params, which is made from the group itself"),
    ({"optimizer_settings": {"lambda_scale": -1}}, "lambda_scale is -1, expected a number of at least 0"),
    ({"optimizer_settings": {"lambda_scale": "1"}}, "lambda_scale is '1', expected a number"),
    # regularizers
    (reg("l3"), "regularizer is 'l3', which is unknown. Did you mean 'l1'?"),
    (reg(0.1), "reg is 0.1, expected a regularizer, its name, or a mapping with _target_ or name"),
    (
        reg({"lamda": 0.1}),
        "reg is {'lamda': 0.1}, expected a regularizer, its name, or a mapping with _target_ or name",
    ),
    (reg({"name": "l1", "lambda": 1}), "does not take lambda. Did you mean 'lamda'?"),
    (reg(RegL1(0.1).prox), "missing a required argument: 'x'"),
    (reg("prunus.regularizers.RegL2"), "prunus.regularizers has no 'RegL2'. Did you mean 'RegL1L2'?"),
    (reg("torch.nn.ReLU"), "reg is 'torch.nn.ReLU', expected a regularizer"),
    (reg("torch.pi"), "torch.pi is 3.14"),
    (target(f"{THEIRS}.RegL1Pos"), f"Did you mean '{OURS}.RegL1Pos'?"),
    (target("src.optim.bregman.RegL1", lamda=0.1), f"Did you mean '{OURS}.RegL1'?"),
    (target(f"{OURS}.RegL1", mu=0.1, lamda=0.1), f"{OURS}.RegL1: it does not take 'mu'. Known: lamda."),
    (target(f"{OURS}.RegL1", lamda=-1), "lamda is -1, expected a number of at least 0"),
    (
        reg("l1_l2_conv", module_name_patterns=["^fc"], param_names=["weight"]),
        "RegL1L2Conv(lamda=1.0) does not fit fc.weight: Kernel() cannot split a tensor of shape (6, 8)",
    ),
    (reg("group_lasso", param_names=["bias"]), "does not fit fc.bias: Filter() cannot split a tensor of shape (6,)"),
    # the sparse start
    ({"pruning_config": {"sparsity_rate": 99}}, "sparsity_rate is 99, expected a fraction between 0 and 1 (for 99 %"),
    ({"pruning_config": {"sparsity_rate": -0.1}}, "sparsity_rate is -0.1, expected a fraction between 0 and 1"),
    ({"pruning_config": {"pruning_type": "rows"}}, "pruning_type is 'rows', which is unknown. Did you mean 'row'?"),
    ({"pruning_config": {"sparsity": 0.9}}, "sparsity is no key of it. Did you mean 'sparsity_rate'?"),
    (
        reg("l1", pruning_config={"sparsity_rate": 0.5, "pruning_type": "kernel"}, module_name_patterns=["fc"]),
        "pruning_config does not fit fc.weight of shape (6, 8): it has 2 dimensions, at least 3 are needed",
    ),
]


@pytest.mark.parametrize(("settings", "message"), CASES, ids=[str(number) for number in range(len(CASES))])
def test_every_fault_is_said_with_what_was_meant(settings: dict[str, Any], message: str) -> None:
    said = of(**settings)
    assert message in said and said.startswith("pruning_groups: group 'g': ")


def test_groups_without_a_name_and_things_that_are_no_group() -> None:
    assert "group 0: it has no name" in fault({"layer_types": LINEAR})
    assert "group 0: its name is 3, expected a word" in fault({"name": 3})
    assert "group 1: it is 'conv', expected a mapping with a name" in fault(
        {"name": "a", "layer_types": LINEAR}, "conv"
    )
    with pytest.raises(SelectionError, match="expected a list of mappings, one a group"):
        PruningManager(Net(), {"name": "conv"})


def test_names_are_distinct_and_one_group_falls_back() -> None:
    conv, linear = {"layer_types": [nn.Conv2d]}, {"layer_types": [nn.Linear]}
    assert "2 groups are named 'a'; give each its own name" in fault({"name": "a", **conv}, {"name": "a", **linear})
    two = fault({"name": "a", "is_fallback": True}, {"name": "b", "is_fallback": True})
    assert "'a', 'b' all have is_fallback; one group can take what the others leave" in two
    assert "group 'fallback' lacks is_fallback: true" in fault({"name": "fallback", **conv})


def test_a_group_that_gets_nothing_says_who_took_it() -> None:
    conv, linear = ({"name": kind.__name__, "layer_types": [kind]} for kind in (nn.Conv2d, nn.Linear))
    late = {"name": "late", "param_names": ["bias"], "layer_types": [nn.Conv2d, nn.Linear]}
    said = fault(conv, linear, late)
    assert "group 'late': earlier groups took all that it matches: 'Conv2d' (2), 'Linear' (1); move it up" in said


def test_a_group_of_nothing_but_spared_parameters_says_so() -> None:
    settings = {"optimizer_settings": {"reg": "l1"}}
    said = fault({"name": "norm", "layer_types": [nn.BatchNorm2d], **settings})
    assert "it matches only biases, vectors and norms (norm1.weight, norm1.bias, down.1.weight, down.1.bias)" in said
    assert "to charge them, name vectors in param_names and norms in layer_types" in said


def test_frozen_and_unready_parameters_are_named() -> None:
    model = Net()
    model.fc.requires_grad_(False)
    said = fault({"name": "g", "module_name_patterns": ["^fc$"]}, model=model)
    assert "group 'g': every parameter that it matches is frozen: fc.weight, fc.bias" in said
    assert "the model has no trainable parameter" in fault(model=model.requires_grad_(False))
    lazy = nn.Sequential(nn.LazyLinear(4), nn.Linear(4, 2))
    assert "0.weight has no shape yet; run a batch through the model first" in fault(model=lazy)


def test_a_pattern_that_finds_another_name_of_a_tied_weight_says_which() -> None:
    model = nn.ModuleDict({"embed": nn.Embedding(4, 2), "body": nn.Linear(2, 2), "head": nn.Linear(2, 4, bias=False)})
    model["head"].weight = model["embed"].weight
    said = fault({"name": "head", "module_name_patterns": ["head"]}, model=model)
    assert "'head' finds only other names of embed.weight; a parameter goes by its first name" in said


def test_all_faults_come_in_one_error() -> None:
    said = fault(
        {"name": "conv", "layer_types": ["torch.nn.Conv2", nn.Conv1d], "module_name_patterns": ["("], "lr": 1},
        {"name": "conv", "layer_types": LINEAR, "param_names": ["wieght"], "optimizer_settings": {"reg": "l3"}},
        {"name": "rest", "is_fallback": True, "pruning_config": {"sparsity_rate": 2, "pruning_type": "rows"}},
    )
    for part in ["'torch.nn.Conv2'", "'('", "key 'lr'", "'wieght'", "'l3'", "2 groups", "sparsity_rate", "'rows'"]:
        assert part in said, said
    assert "Conv1d" not in said, "with a type missing nothing can be said about what the group would take"


def test_a_module_that_fails_while_it_is_imported_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "prunus_failing.py").write_text("raise RuntimeError('no driver')")
    (tmp_path / "prunus_lacking.py").write_text("import prunus_absent")
    monkeypatch.syspath_prepend(tmp_path)
    assert "prunus_failing cannot be imported: RuntimeError: no driver" in of(layer_types=["prunus_failing.Net"])
    assert "prunus_lacking cannot be imported: No module named 'prunus_absent'" in of(
        layer_types=["prunus_lacking.Net"]
    )
    assert "prunus_failing" not in sys.modules
