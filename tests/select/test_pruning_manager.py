"""The pruning manager: who gets what, what is spared, what the optimizer is told, and how groups train and resume."""

from __future__ import annotations

import copy
import io
from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import Tensor, nn

from prunus.actions import Steer
from prunus.errors import NoEffect, SelectionError, SettingError
from prunus.measure import count
from prunus.optim import OPTIMIZERS, AdaBreg, LinBreg
from prunus.regularizers import RegL1, RegL1L2, RegL1L2Conv, RegNone, RegSoftBernoulli
from prunus.scheduler import CompressionScheduler
from prunus.select import PruningManager
from prunus.steering import LambdaScheduler
from tests import models
from tests.twins.groups import first_match


class Net(nn.Module):
    """Convolutions with and without a telling name, norms, a bias-free head, and a parameter of the model itself."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 4, 3, padding=1)
        self.norm1 = nn.BatchNorm2d(4)
        self.down = nn.Sequential(nn.Conv2d(4, 8, 3), nn.BatchNorm2d(8))
        self.fc = nn.Linear(8, 6)
        self.classifier = nn.Linear(6, 3, bias=False)
        self.scale = nn.Parameter(torch.ones(1, 3))

    def forward(self, x: Tensor) -> Tensor:
        x = self.down(self.norm1(self.conv1(x)).relu()).relu().mean((2, 3))
        return self.classifier(self.fc(x).relu()) * self.scale


def taken(model: nn.Module, *groups: dict[str, Any]) -> dict[str, list[str]]:
    """Return {group: parameters}."""
    return {group["name"]: group["param_names"] for group in PruningManager(model, groups).processed_groups}


def l1(**settings: Any) -> dict[str, Any]:
    return {"reg": {"_target_": "prunus.regularizers.RegL1", "lamda": 0.01}, **settings}


WEIGHTS = ["conv1.weight", "down.0.weight", "fc.weight", "classifier.weight"]
TABLE: dict[str, tuple[dict[str, Any], list[str]]] = {
    "types": ({"layer_types": ["torch.nn.Linear"]}, ["fc.weight", "fc.bias", "classifier.weight"]),
    "types as classes": ({"layer_types": [nn.Linear]}, ["fc.weight", "fc.bias", "classifier.weight"]),
    "a base class": (
        {"layer_types": ["torch.nn.modules.conv._ConvNd"], "param_names": ["bias"]},
        ["conv1.bias", "down.0.bias"],
    ),
    "names": ({"param_names": ["bias"], "layer_types": ["torch.nn.Linear"]}, ["fc.bias"]),
    "a pattern is searched, not matched": ({"module_name_patterns": ["onv"]}, ["conv1.weight", "conv1.bias"]),
    "an anchored pattern is exact": ({"module_name_patterns": ["^classifier$"]}, ["classifier.weight"]),
    "a pattern sees the module's name only": ({"module_name_patterns": ["^fc$"]}, ["fc.weight", "fc.bias"]),
    "one pattern is enough": ({"module_name_patterns": ["^fc", "^cl"]}, ["fc.weight", "fc.bias", "classifier.weight"]),
    "the model itself is ''": ({"module_name_patterns": ["^$"]}, ["scale"]),
    "exclusion wins": (
        {"layer_types": ["torch.nn.Linear"], "exclude_module_name_patterns": ["fc"]},
        ["classifier.weight"],
    ),
    "without criteria everything": ({}, [name for name, _ in Net().named_parameters()]),
    "empty criteria are none": (
        {"layer_types": [], "param_names": None, "module_name_patterns": []},
        [name for name, _ in Net().named_parameters()],
    ),
}


@pytest.mark.filterwarnings("ignore::prunus.errors.NoEffect")
@pytest.mark.parametrize("case", TABLE)
def test_what_a_group_takes(case: str) -> None:
    group, expected = TABLE[case]
    assert sorted(taken(Net(), {"name": "it", **group})["it"]) == sorted(expected)


@pytest.mark.filterwarnings("ignore::prunus.errors.NoEffect")
def test_the_first_match_wins_in_the_order_of_the_list() -> None:
    conv, rest = {"name": "conv", "layer_types": [nn.Conv2d]}, {"name": "weights", "param_names": ["weight"]}
    found = taken(Net(), conv, rest)
    assert found["conv"] == ["conv1.weight", "conv1.bias", "down.0.weight", "down.0.bias"]
    assert found["weights"] == ["norm1.weight", "down.1.weight", "fc.weight", "classifier.weight"]
    swapped = taken(Net(), rest, conv)
    assert swapped["conv"] == ["conv1.bias", "down.0.bias"]
    assert list(found) == ["conv", "weights", "fallback"] and list(swapped) == ["weights", "conv", "fallback"]


def test_the_fallback_takes_what_is_left_wherever_it_stands() -> None:
    first = {"name": "rest", "is_fallback": True, "optimizer_settings": l1()}
    found = taken(Net(), first, {"name": "conv", "layer_types": [nn.Conv2d]})
    assert found["conv"][0] == "conv1.weight" and found["rest"] == ["scale", "fc.weight", "classifier.weight"]
    assert "fallback" not in found


@pytest.mark.filterwarnings("ignore::prunus.errors.NoEffect")
def test_tied_weights_come_once_under_their_first_name() -> None:
    found = taken(models.Tied(), {"name": "embedding", "layer_types": [nn.Embedding]})
    assert found == {"embedding": ["embed.weight"], "fallback": ["body.weight", "body.bias"]}


CHOICES = {
    "layer_types": [nn.Conv2d, nn.Linear, nn.BatchNorm2d, nn.Module],
    "param_names": ["weight", "bias", "scale"],
    "module_name_patterns": ["conv", "^down", "norm", "^$", "fc|class", r"\d$"],
    "exclude_module_name_patterns": ["1$", "down", "^fc"],
}
GROUPS = st.lists(
    st.fixed_dictionaries({}, optional={key: st.lists(st.sampled_from(v), max_size=2) for key, v in CHOICES.items()}),
    min_size=1,
    max_size=4,
)


@pytest.mark.filterwarnings("ignore::prunus.errors.NoEffect")
@given(GROUPS, st.sampled_from([None, 0, 1]), st.sets(st.sampled_from(["conv1.weight", "fc.bias", "scale"])))
def test_groups_are_shared_out_as_the_twin_says(drawn, fallback: int | None, frozen: set[str]) -> None:
    model = Net()
    for name in frozen:
        model.get_parameter(name).requires_grad_(False)
    groups = [{"name": f"g{index}", **group} for index, group in enumerate(drawn)]
    if fallback is not None:
        groups.insert(fallback, {"name": "rest", "is_fallback": True})
    try:
        manager = PruningManager(model, groups)
    except SelectionError:
        assume(False)
    found = {name: group["name"] for group in manager.processed_groups for name in group["param_names"]}
    assert found == first_match(model, groups)


def test_biases_vectors_and_norms_are_spared_unless_they_are_named() -> None:
    """D7 and D10: a norm that no pattern names, or a bias, must not be driven to zero by somebody's fallback."""
    manager = PruningManager(Net(), [{"name": "all", "is_fallback": True, "optimizer_settings": l1(lr=0.5)}])
    charged, spared = manager.get_optimizer_param_groups()
    assert sorted(charged["param_names"]) == sorted([*WEIGHTS, "scale"])
    assert (spared["name"], spared["reg"], spared["lambda_scale"], spared["lr"]) == (
        "all.spared",
        RegNone(),
        0.0,
        0.5,
    )
    assert {"norm1.weight", "down.1.weight", "conv1.bias"} < set(spared["param_names"])


@pytest.mark.parametrize("types", [[], [nn.Module], ["torch.nn.Module"]])
def test_the_name_weight_alone_names_no_norm(types: list[Any]) -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.LayerNorm((4, 4)), nn.BatchNorm1d(4))
    group = {"name": "weights", "layer_types": types, "param_names": ["weight"], "optimizer_settings": l1()}
    found = taken(model, group)
    assert found["weights"] == ["0.weight"] and found["weights.spared"] == ["1.weight", "2.weight"]


def test_named_biases_and_norms_are_charged_with_a_notice() -> None:
    bias = {"name": "bias", "layer_types": [nn.Linear], "param_names": ["bias"], "optimizer_settings": l1()}
    norm = {"name": "norm", "layer_types": [nn.BatchNorm2d], "param_names": ["weight"], "optimizer_settings": l1()}
    lines: list[str] = []
    manager = PruningManager(Net(), [bias, norm], verbose=True, echo=lines.append)
    assert [len(group["params"]) for group in manager.processed_groups] == [1, 2, 9]
    assert (
        lines[-2:]
        == list(manager.table().notices)
        == [
            "bias names biases, vectors or norms, so it charges them: fc.bias",
            "norm names biases, vectors or norms, so it charges them: norm1.weight, down.1.weight",
        ]
    )


def test_recurrent_biases_are_spared() -> None:
    """D6: LSTM calls its biases bias_ih_l0 and bias_hh_l0."""
    found = taken(models.recurrent(), {"name": "lstm", "optimizer_settings": l1()})
    assert found["lstm"] == ["weight_ih_l0", "weight_hh_l0"]


def test_sparsity_is_measured_where_lambda_is_steered() -> None:
    """D8: not where pruning_config starts sparse; and just as the optimizer sees it."""
    groups = [
        {"name": "conv", "layer_types": [nn.Conv2d], "optimizer_settings": l1()},
        {"name": "fc", "module_name_patterns": ["fc"], "optimizer_settings": l1(lambda_scale=0.0)},
        {"name": "head", "module_name_patterns": ["class"], "pruning_config": {"sparsity_rate": 0.5}},
    ]
    with pytest.warns(NoEffect, match="group 'head' starts sparse, but RegNone lets its zeros go"):
        manager = PruningManager(Net(), groups)
    pruned = manager.get_pruned_parameters()
    assert [tuple(parameter.shape) for parameter in pruned] == [(4, 1, 3, 3), (8, 4, 3, 3)]
    for optimizer in OPTIMIZERS.values():
        assert all(a is b.parameter for a, b in zip(pruned, manager.build(optimizer).regularized(), strict=True))


def test_lambda_scale_defaults_to_one_and_to_zero_without_a_regularizer() -> None:
    """D9: one default everywhere, so that no group is left behind."""
    manager = PruningManager(Net(), [{"name": "conv", "layer_types": [nn.Conv2d], "optimizer_settings": l1()}])
    scales = {group["name"]: group["lambda_scale"] for group in manager.build(AdaBreg).param_groups}
    assert scales == {"conv": 1.0, "conv.spared": 0.0, "fallback": 0.0}


def test_every_group_and_every_optimizer_has_its_own_regularizer() -> None:
    """D15: of two groups with one object the last λ would win."""
    reg = RegL1(0.5)
    groups = [
        {"name": "conv", "layer_types": [nn.Conv2d], "optimizer_settings": {"reg": reg}},
        {"name": "fc", "layer_types": [nn.Linear], "optimizer_settings": {"reg": reg, "lambda_scale": 2.0}},
    ]
    manager = PruningManager(Net(), groups)
    reg.lamda = 0.75
    assert manager.table().rows[0].regularizer == "RegL1(lamda=0.5)", "nobody outside moves it either"
    reg.lamda = 0.5
    regs = [g["reg"] for _ in range(2) for g in manager.build(AdaBreg).param_groups if g["reg"] == reg]
    assert len({id(one) for one in [reg, *regs]}) == 5


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (RegL1(0.5), RegL1(0.5)),
        ("L1", RegL1()),
        ("prunus.regularizers.RegL1L2", RegL1L2()),
        ({"name": "l1", "lamda": 0.5}, RegL1(0.5)),
        ({"_target_": "prunus.regularizers.RegL1", "lamda": 0.5}, RegL1(0.5)),
        ({"_target_": "prunus.regularizers.RegL1", "_partial_": True, "lamda": 0.5}, RegL1(0.5)),
        ({"_target_": "prunus.regularizers.get_regularizer", "name": "l1", "lamda": 0.5}, RegL1(0.5)),
        (RegL1L2, RegL1L2()),
        (partial(RegL1, 0.5), RegL1(0.5)),
    ],
)
def test_a_regularizer_may_be_said_in_many_ways(said: Any, expected: Any) -> None:
    groups = [{"name": "fc", "layer_types": [nn.Linear], "optimizer_settings": {"reg": said}}]
    assert PruningManager(Net(), groups).get_optimizer_param_groups()[0]["reg"] == expected


def test_nested_targets_are_built_inside_out() -> None:
    reg = {"_target_": "prunus.regularizers.GroupLasso", "structure": {"_target_": "prunus.structures.Column"}}
    manager = PruningManager(Net(), [{"name": "fc", "layer_types": [nn.Linear], "optimizer_settings": {"reg": reg}}])
    assert str(manager.table().rows[0].regularizer) == "GroupLasso(lamda=1.0, structure=Column())"


def test_what_has_no_effect_is_said() -> None:
    scaled = {"name": "fc", "layer_types": [nn.Linear], "optimizer_settings": {"lambda_scale": 1.0}}
    conv = {"name": "conv", "layer_types": [nn.Conv2d], "optimizer_settings": l1()}
    with pytest.warns(NoEffect, match="group 'fc' has lambda_scale 1, but RegNone charges nothing"):
        PruningManager(Net(), [scaled, conv])
    with pytest.warns(NoEffect, match="no group charges anything"):
        PruningManager(Net(), [])
    rows = {"name": "bias", "param_names": ["bias"], "optimizer_settings": {"reg": "l1_l2"}}
    with pytest.warns(NoEffect, match=r"group 'bias': RegL1L2\(lamda=1.0\) ignores all it holds: conv1.bias"):
        PruningManager(Net(), [rows, conv])


def test_the_start_is_sparse_to_the_weight() -> None:
    groups = [
        {
            "name": "conv",
            "layer_types": [nn.Conv2d],
            "optimizer_settings": l1(),
            "pruning_config": {"pruning_type": "unstructured", "sparsity_rate": 0.99},
        },
        {
            "name": "fc",
            "module_name_patterns": ["fc"],
            "optimizer_settings": l1(),
            "pruning_config": {"pruning_type": "structured", "sparsity_rate": 0.5},
        },
    ]
    model = Net()
    bias = model.fc.bias.detach().clone()
    manager = PruningManager(model, groups)
    kept = manager.apply_initial_sparsity(torch.Generator().manual_seed(1))
    assert kept == {"conv1.weight": 1, "down.0.weight": 3, "fc.weight": 3}
    assert [count(p).kept for p in (model.conv1.weight, model.down[0].weight, model.fc.weight)] == [1, 3, 24]
    assert model.fc.weight.ne(0).all(1).sum() == 3 and torch.equal(model.fc.bias, bias)


def test_the_start_is_drawn_from_the_generator() -> None:
    group = {"name": "fc", "optimizer_settings": l1(), "pruning_config": {"sparsity_rate": 0.5}}
    drawn = []
    for seed in (1, 1, 2):
        model = nn.Linear(16, 16)
        PruningManager(model, [group]).apply_initial_sparsity(torch.Generator().manual_seed(seed))
        drawn.append(model.weight.ne(0))
    assert torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[0], drawn[2])


def test_filters_are_outputs_in_transposed_convolutions_too() -> None:
    model = nn.ConvTranspose2d(4, 6, 2)
    start = {"pruning_type": "filter", "sparsity_rate": 0.5}
    kept = PruningManager(
        model, [{"name": "up", "optimizer_settings": l1(), "pruning_config": start}]
    ).apply_initial_sparsity()
    assert kept == {"weight": 3} and model.weight.ne(0).flatten(2).any(2).all(0).sum() == 3


CONFIG = [
    {
        "name": "conv",
        "layer_types": ["torch.nn.Conv2d"],
        "optimizer_settings": {"reg": {"_target_": "prunus.regularizers.RegL1L2Conv", "lamda": 0.001}, "lr": 0.01},
        "pruning_config": {"sparsity_rate": 0.5},
    },
    {
        "name": "linear",
        "layer_types": ["torch.nn.Linear"],
        "param_names": ["weight"],
        "optimizer_settings": {"reg": RegSoftBernoulli(0.002, probability=0.1), "lambda_scale": 0.5},
    },
]


def trained(steps: int, state: tuple[Any, Any] | None = None) -> tuple[Net, torch.optim.Optimizer]:
    """Return a net and its optimizer after some steps, from the start or from a saved state."""
    torch.manual_seed(0)
    model = Net()
    manager = PruningManager(model, CONFIG)
    manager.apply_initial_sparsity()
    optimizer = manager.build(AdaBreg, lr=0.002)
    if state is not None:
        model.load_state_dict(state[0])
        optimizer.load_state_dict(state[1])
    for step in range(steps):
        x = torch.randn(4, 1, 6, 6, generator=torch.Generator().manual_seed(step))
        optimizer.zero_grad()
        model(x).square().mean().backward()
        optimizer.step()
    return model, optimizer


def test_adabreg_trains_two_steps_with_groups() -> None:
    model, optimizer = trained(2)
    groups = {group["name"]: group for group in optimizer.param_groups}
    assert list(groups) == ["conv", "conv.spared", "linear", "fallback"]
    assert isinstance(groups["conv"]["reg"], RegL1L2Conv) and groups["conv"]["lr"] == 0.01
    assert groups["linear"]["lr"] == 0.002 and groups["linear"]["lambda_scale"] == 0.5
    assert all(optimizer.state[p]["step"] == 2 for p in model.parameters())
    assert not torch.equal(model.fc.weight, trained(1)[0].fc.weight)


def test_steering_sets_lambda_before_the_first_step() -> None:
    """D12: the dual starts at the λ that steering begins with, times the group's share, not at the configured one."""
    model = Net()
    optimizer = PruningManager(model, CONFIG).build(AdaBreg)
    steer = Steer(LambdaScheduler(initial_lambda=0.25, target_sparsity=0.9))
    CompressionScheduler(model, [steer], optimizer=optimizer, steps_per_epoch=1, epochs=1).epoch_begin()
    assert [group["reg"].lamda for group in optimizer.param_groups] == [0.25, 1.0, 0.125, 1.0]


def test_a_state_goes_through_a_strict_file_and_back() -> None:
    """D13 and D14: no objects in the file, and the live regularizers keep their identity."""
    model, optimizer = trained(1)
    file = io.BytesIO()
    torch.save((model.state_dict(), optimizer.state_dict()), file)
    file.seek(0)
    model, optimizer = trained(0, torch.load(file, weights_only=True))
    regs = [group["reg"] for group in optimizer.param_groups]
    optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    assert all(a is group["reg"] for a, group in zip(regs, optimizer.param_groups, strict=True))
    x = torch.randn(4, 1, 6, 6, generator=torch.Generator().manual_seed(1))
    optimizer.zero_grad()
    model(x).square().mean().backward()
    optimizer.step()
    whole = trained(2)[0]
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), whole.parameters(), strict=True))


def test_the_manager_follows_the_model() -> None:
    model = Net()
    model.manager = PruningManager(model, CONFIG)
    twin = copy.deepcopy(model).double()
    held = twin.manager.processed_groups[0]["params"][0]
    assert held is twin.conv1.weight and held.dtype is torch.float64 and held is not model.conv1.weight


def test_an_optimizer_is_built_from_a_class_a_partial_or_a_mapping() -> None:
    manager = PruningManager(Net(), CONFIG)
    target = {"_target_": "prunus.optim.LinBreg", "_partial_": True, "momentum": 0.9}
    for factory in (partial(LinBreg, momentum=0.9), target, {k: v for k, v in target.items() if k != "_partial_"}):
        built = manager.build(factory, lr=0.1)
        assert isinstance(built, LinBreg) and built.param_groups[2]["momentum"] == 0.9
        assert [group["lr"] for group in built.param_groups] == [0.01, 0.01, 0.1, 0.1]
    with pytest.raises(SettingError, match="AdamW knows no reg, so it would ignore the groups' regularizers"):
        manager.build(torch.optim.AdamW)
    with pytest.raises(SettingError, match="src.*Did you mean 'prunus.optim.AdaBreg'"):
        manager.build({"_target_": "src.callbacks.pruning.bregman.bregman_optimizers.AdaBreg"})
    group = {"name": "fc", "layer_types": [nn.Linear], "optimizer_settings": l1(momentun=0.9)}
    with pytest.raises(SettingError, match="momentun is no setting of this optimizer. Did you mean 'momentum'"):
        PruningManager(Net(), [group]).build(LinBreg)


def test_the_table_is_text_and_data() -> None:
    model = Net()
    model.scale.requires_grad_(False)
    table = PruningManager(model, [CONFIG[0]]).table()
    assert str(table).splitlines() == [
        "group        tensors  weights  regularizer               λ scale  zeros at start     settings",
        "conv         2        324      RegL1L2Conv(lamda=0.001)  1        50 % unstructured  lr=0.01",
        "conv.spared  2        12       RegNone()                 0        -                  lr=0.01",
        "fallback     7        96       RegNone()                 0        -",
        "frozen and in no group: scale",
    ]
    assert [(row.name, row.weights, row.sparsity_rate) for row in table.rows][:2] == [
        ("conv", 324, 0.5),
        ("conv.spared", 12, 0.0),
    ]


def test_nothing_is_written_unless_asked(capsys: pytest.CaptureFixture[str]) -> None:
    PruningManager(Net(), CONFIG)
    assert capsys.readouterr().out == ""
    PruningManager(Net(), CONFIG, verbose=True)
    assert capsys.readouterr().out == f"{PruningManager(Net(), CONFIG).table()}\n"
