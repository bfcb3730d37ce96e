"""The parameter manager: the layer lists, what they guard against, manual lists, and the table."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from prunus.errors import SelectionError, SettingError
from prunus.select import ParameterManager, Select, explain
from tests import models


class Custom(nn.Module):
    """Knows its parameter by the name ``weight``, and has others."""

    def __init__(self, name: str = "weight") -> None:
        super().__init__()
        self.register_parameter(name, nn.Parameter(torch.ones(4, 4)))
        self.bias = nn.Parameter(torch.ones(4))


class LlamaRMSNorm(Custom):
    pass


def names(model: nn.Module, **settings: Any) -> tuple[str, ...]:
    return ParameterManager(**{"min_param_elements": 1, **settings}).collect(model).names


def reasons(model: nn.Module, **settings: Any) -> dict[str, str]:
    found = ParameterManager(**{"min_param_elements": 1, **settings}).collect(model)
    return {choice.target.name: choice.reason for choice in found.skipped}


KNOWN = {
    "linear": nn.Linear(2, 3),
    "conv1": nn.Conv1d(2, 3, 2),
    "conv2": nn.Conv2d(2, 3, 2),
    "conv3": nn.Conv3d(2, 3, 2),
    "up1": nn.ConvTranspose1d(2, 3, 2),
    "up2": nn.ConvTranspose2d(2, 3, 2),
    "up3": nn.ConvTranspose3d(2, 3, 2),
    "embedding": nn.Embedding(4, 2),
}
RECURRENT = {"lstm": nn.LSTM(2, 3), "gru": nn.GRU(2, 3), "rnn": nn.RNN(2, 3)}
NORMS = {
    "bn1": nn.BatchNorm1d(4),
    "bn2": nn.BatchNorm2d(4),
    "bn3": nn.BatchNorm3d(4),
    "sync": nn.SyncBatchNorm(4),
    "instance": nn.InstanceNorm2d(4, affine=True),
    "layer": nn.LayerNorm((4, 4)),
    "group": nn.GroupNorm(2, 4),
    "rms": nn.RMSNorm((4, 4)),
    "prelu": nn.PReLU(4),
    "foreign": LlamaRMSNorm(),
}


@pytest.mark.parametrize("name", KNOWN)
def test_known_layers_take_part_with_their_weight_and_without_their_bias(name: str) -> None:
    assert names(KNOWN[name]) == ("weight",)


@pytest.mark.parametrize("name", RECURRENT)
def test_recurrent_layers_take_part_with_all_weights_and_no_bias(name: str) -> None:
    """D6: a test for the name "bias" alone prunes bias_ih_l0 and bias_hh_l0."""
    assert names(RECURRENT[name]) == ("weight_ih_l0", "weight_hh_l0")
    assert names(RECURRENT[name], prune_bias=True) == ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")


def test_cells_take_part_too() -> None:
    assert names(nn.LSTMCell(2, 3)) == ("weight_ih", "weight_hh")


def test_attention_takes_part_with_its_input_projection() -> None:
    """D6: in_proj_weight was skipped; bias_k and bias_v are biases though they have three dimensions."""
    assert names(nn.MultiheadAttention(4, 2, add_bias_kv=True)) == ("in_proj_weight", "out_proj.weight")
    apart = nn.MultiheadAttention(4, 2, kdim=3, vdim=5)
    assert names(apart) == ("q_proj_weight", "k_proj_weight", "v_proj_weight", "out_proj.weight")
    assert "bias_k" not in [c.target.name for c in explain(nn.MultiheadAttention(4, 2, add_bias_kv=True)) if c.chosen]


@pytest.mark.parametrize("name", NORMS)
def test_norms_and_prelu_never_take_part_by_search(name: str) -> None:
    model = nn.ModuleDict({"norm": NORMS[name], "fc": nn.Linear(2, 2)})
    assert names(model, prune_bias=True) == ("fc.weight", "fc.bias")
    assert reasons(model, prune_bias=True)["norm.weight"].startswith("protected layer type")


def test_a_norm_takes_part_when_it_is_named() -> None:
    model = nn.Sequential(nn.LayerNorm((4, 4)), nn.Linear(2, 2))
    assert names(model, parameters_to_prune=["0.weight"]) == ("0.weight",)


def test_custom_layers_take_part_when_they_hold_a_weight() -> None:
    model = nn.ModuleDict({"known": Custom(), "unknown": Custom("kernel")})
    assert names(model) == ("known.weight",)
    assert reasons(model)["unknown.kernel"] == "unsupported layer type Custom: no parameter is named weight"
    assert names(model, parameters_to_prune=["unknown.kernel"]) == ("unknown.kernel",)


def test_tied_weights_take_part_once() -> None:
    assert names(models.Tied()) == ("embed.weight", "body.weight")


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"min_param_elements": 1000}, "fewer than 1000 elements"),
        ({"pruning_dim": 1, "prune_bias": True}, "no slices along dimension 1 of 1"),
        ({"pruning_dim": 2}, "no slices along dimension 2 of 2"),
        ({}, "bias or vector"),
    ],
)
def test_every_skipped_parameter_has_its_reason(settings: dict[str, Any], reason: str) -> None:
    model = nn.Sequential(nn.Conv2d(64, 4, 3), nn.Linear(4, 4), nn.Linear(4, 3).requires_grad_(False))
    found = reasons(model, **settings)
    assert reason in (found.get("1.weight"), found["1.bias"])
    assert found["2.weight"] == "frozen"


def test_manual_lists_take_names_patterns_modules_and_pairs() -> None:
    model = nn.Sequential(nn.Linear(8, 16), nn.Linear(16, 16), nn.Linear(16, 4))
    for given in (["0.weight", "2.weight"], ["[02].*"], ["0", "2"], [(model[0], "weight"), (model[2], "weight")]):
        assert names(model, parameters_to_prune=given) == ("0.weight", "2.weight")
    assert names(model, parameters_to_prune=[(model[0], "bias")]) == ("0.bias",)
    assert names(model, parameters_to_prune=["0", "2"], min_param_elements=100) == ("0.weight",)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["0.weihgt"], "Did you mean '0.weight'"),
        ([(nn.Linear(2, 2), "weight")], r"\(Linear, 'weight'\) is no parameter of the model"),
        ([(nn.Linear(2, 2), "wieght")], "the module has: weight, bias"),
        ([3], r"expected a name or a pair \(module, parameter name\)"),
        ([], "the selection is empty"),
        ("0.weight", "is the string '0.weight', expected a list"),
    ],
)
def test_manual_lists_that_do_not_fit_are_refused(given: Any, message: str) -> None:
    with pytest.raises(SelectionError, match=message):
        names(models.mlp(), parameters_to_prune=given)


def test_settings_are_checked() -> None:
    with pytest.raises(SettingError, match="min_param_elements is -1"):
        ParameterManager(min_param_elements=-1)
    with pytest.raises(SettingError, match="pruning_dim is True"):
        ParameterManager(pruning_dim=True)


def test_it_shares_the_rules_of_select() -> None:
    """Whatever Select refuses, the manager refuses for the same reason."""
    for model in (models.mlp(), models.frozen(), models.normed(), models.convs(), models.recurrent(), models.half()):
        mine = ParameterManager(min_param_elements=20).collect(model).choices
        theirs = explain(model, Select(min_elements=20))
        assert [(c.target.name, c.reason) for c in mine] == [(c.target.name, c.reason) for c in theirs]


def test_the_table_has_a_line_for_every_parameter() -> None:
    table = str(ParameterManager().collect(nn.Sequential(nn.Linear(40, 30), nn.BatchNorm1d(30))))
    assert table.splitlines() == [
        "parameter  layer        shape  weights  decision",
        "0.weight   Linear       30x40  1,200    chosen",
        "0.bias     Linear       30     30       bias or vector",
        "1.weight   BatchNorm1d  30     30       protected layer type BatchNorm1d",
        "1.bias     BatchNorm1d  30     30       protected layer type BatchNorm1d",
    ]
