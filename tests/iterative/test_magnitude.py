"""The magnitude pruner beyond its laws: what it prunes, what it remembers, what it refuses, what it says."""

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from prunus import checkpoints
from prunus.errors import CheckpointError, LayerCollapse, PrunusError, ScoreError, SelectionError, SettingError
from prunus.iterative import MagnitudePruner
from prunus.keep import pruned_count
from prunus.scopes import Global
from tests import models
from tests.twins import iterative as twin


def quiet(**settings):
    return MagnitudePruner(**settings, echo=_never)


def _never(line):
    raise AssertionError(f"said {line!r} although verbose was False")


def prune(pruner, model, names=None, sparsity=None):
    return pruner.prune_model(model, names, sparsity, verbose=False)


@given(st.lists(st.integers(-4, 4), min_size=1, max_size=24), st.lists(st.floats(0, 1), min_size=1, max_size=3))
@pytest.mark.filterwarnings("ignore::prunus.errors.LayerCollapse")
def test_masks_equal_the_twin(weights, sparsities):
    model = nn.Linear(len(weights), 1, bias=False, dtype=torch.float64)
    pruner, alive = quiet(), [True] * len(weights)
    for sparsity in sparsities:
        model.weight.data = torch.tensor([weights], dtype=torch.float64)
        prune(pruner, model, sparsity=sparsity)
        alive = twin.prune(weights, alive, sparsity)
        assert pruner.masks["weight"].tolist() == [alive]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_every_precision_is_exact(dtype):
    model = models.mlp().to(dtype)
    assert prune(quiet(), model, sparsity=0.29) == {"0": pruned_count(0.29, 128), "2": pruned_count(0.29, 64)}


@pytest.mark.parametrize("build", [models.convs, models.channels_last, models.recurrent, models.Tied, models.normed])
def test_every_kind_of_layer_is_exact(build):
    model, pruner = build(), quiet()
    stats = prune(pruner, model, sparsity=0.5)
    assert {name: mask.numel() // 2 for name, mask in pruner.masks.items()} == stats
    assert pruner.get_model_sparsity(model) == dict.fromkeys(stats, 0.5)


def test_a_shared_weight_is_one_layer_with_two_names():
    model, pruner = models.Tied(), quiet()
    assert list(prune(pruner, model, ["head"], sparsity=0.5)) == ["embed"]
    assert pruner.get_model_sparsity(model, ["head", "embed"]) == {"embed": 0.5}
    model.head.weight.data.fill_(1.0)
    pruner.apply_masks(model)
    assert int((model.embed.weight == 0).sum()) == 36


def test_recurrent_weights_go_by_their_own_names():
    assert list(prune(quiet(), models.recurrent(), sparsity=0.5)) == ["weight_ih_l0", "weight_hh_l0"]


def test_attention_has_its_packed_weight_pruned():
    model = nn.TransformerEncoderLayer(8, 2, 16)
    assert prune(quiet(), model, ["self_attn"], 0.5) == {"self_attn.in_proj_weight": 96}
    assert prune(quiet(), model, ["self_attn*"], 0.5) == {"self_attn.in_proj_weight": 96, "self_attn.out_proj": 32}


def test_an_empty_layer_is_no_trouble():
    model = models.mlp()
    model[0].weight = nn.Parameter(torch.empty(0, 8))
    assert prune(quiet(), model, sparsity=0.5) == {"2": 32}


def test_biases_stay():
    model = nn.Linear(4, 4)
    bias = model.bias.detach().clone()
    prune(quiet(), model, sparsity=0.9)
    assert torch.equal(model.bias, bias)


@pytest.mark.parametrize(
    ("settings", "call", "rule", "pruned"),
    [
        ({}, 0.75, "sparsity", 3),
        ({"threshold": 0.3}, None, "threshold", 2),
        ({"threshold": 0.3, "target_sparsity": 1.0}, None, "threshold", 2),
        ({"threshold": None, "target_sparsity": 0.25}, None, "target_sparsity", 1),
        ({"threshold": None}, 0.75, "sparsity", 3),
        ({"threshold": None}, 0.0, "sparsity", 0),
    ],
)
def test_what_decides(settings, call, rule, pruned):
    model, pruner = nn.Linear(4, 1, bias=False), quiet(**settings)
    model.weight.data = torch.tensor([[0.1, 0.2, 0.3, 0.4]], dtype=torch.float64)
    assert prune(pruner, model, sparsity=call) == {"weight": pruned}
    asked = {"sparsity": call, "threshold": pruner.threshold, "target_sparsity": pruner.target_sparsity}[rule]
    assert pruner.pruning_history == [{"rule": rule, "asked": asked, "pruned": {"weight": pruned}, "total": 4}]


def test_the_documented_defaults_decide():
    assert quiet()._decision(None) == ("threshold", 0.01)
    assert quiet(threshold=None)._decision(None) == ("target_sparsity", 0.5)


def test_a_threshold_prunes_more_later_and_never_less():
    model, pruner = nn.Linear(3, 1, bias=False), quiet(threshold=0.25)
    model.weight.data = torch.tensor([[0.1, 0.5, 0.9]])
    assert prune(pruner, model) == {"weight": 1}
    model.weight.data = torch.tensor([[0.9, 0.1, 0.9]])
    assert prune(pruner, model) == {"weight": 2}
    assert model.weight.tolist() == [[0.0, 0.0, pytest.approx(0.9)]]


def test_a_global_scope_counts_over_all_layers():
    model = models.mlp()
    stats = prune(quiet(scope=Global()), model, sparsity=0.5)
    assert sum(stats.values()) == 96
    assert stats["0"] != 64


def test_masks_follow_to_copies_wrappers_and_other_precision():
    model, pruner = models.mlp(), quiet()
    prune(pruner, model, sparsity=0.5)
    zeros = [layer.weight == 0 for layer in (model[0], model[2])]
    for other in (copy.deepcopy(model), nn.DataParallel(copy.deepcopy(model)), models.half(), models.mlp()):
        pruner.apply_masks(other)
        inner = other.module if isinstance(other, nn.DataParallel) else other
        assert [torch.equal(inner[i].weight == 0, zero) for i, zero in zip((0, 2), zeros, strict=True)] == [True, True]


@pytest.mark.filterwarnings("ignore:.*torch.jit.script_method:DeprecationWarning")
def test_a_compiled_model_keeps_its_names():
    model, pruner = models.mlp(), quiet()
    model[2] = torch.compile(model[2])
    whole = torch.compile(model)
    assert prune(pruner, whole, sparsity=0.5) == {"0": 64, "2": 32}
    model[0].weight.data.fill_(1.0)
    pruner.apply_masks(whole)
    assert set(pruner.get_model_sparsity(model).values()) == {0.5}
    assert list(pruner.state_dict()["masks"]) == ["0.weight", "2.weight"]


def test_masks_hold_where_momentum_and_weight_decay_push():
    model, pruner = models.mlp(), quiet()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, weight_decay=0.1)
    handle = pruner.attach(model, optimizer)

    def step():
        optimizer.zero_grad()
        model(torch.randn(4, 8)).square().sum().backward()
        optimizer.step()

    step()
    prune(pruner, model, sparsity=0.5)
    step()
    assert pruner.get_model_sparsity(model) == {"0": 0.5, "2": 0.5}
    prune(pruner, model, ["2"], sparsity=0.75)
    step()
    assert pruner.get_model_sparsity(model) == {"0": 0.5, "2": 0.75}
    handle.remove()
    step()
    assert pruner.get_model_sparsity(model) == {"0": 0.0, "2": 0.0}
    pruner.apply_masks(model)
    assert pruner.get_model_sparsity(model) == {"0": 0.5, "2": 0.75}


def test_a_layer_without_a_name_is_pruned_and_not_remembered():
    layer, pruner = nn.Linear(4, 4), quiet()
    assert pruner.prune_layer(layer, sparsity=0.5, verbose=False) == 8
    assert int((layer.weight == 0).sum()) == 8
    assert pruner.masks == {}


def test_a_named_layer_is_found_again_in_the_model():
    model, pruner = models.mlp(), quiet()
    pruner.prune_layer(model[0], "0", sparsity=0.5, verbose=False)
    model[0].weight.data.fill_(1.0)
    pruner.apply_masks(model)
    assert pruner.get_model_sparsity(model) == {"0": 0.5, "2": 0.0}
    assert prune(pruner, model, sparsity=0.25) == {"0": 64, "2": 16}


def test_before_the_first_pruning_masks_change_nothing():
    model = models.mlp()
    before = copy.deepcopy(model.state_dict())
    quiet().apply_masks(model)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_a_replaced_layer_is_masked_in_its_new_place():
    model, pruner = models.mlp(), quiet()
    prune(pruner, model, sparsity=0.5)
    model[0] = nn.Linear(8, 16)
    pruner.apply_masks(model)
    assert pruner.get_model_sparsity(model) == {"0": 0.5, "2": 0.5}


def test_a_saved_pruner_goes_on_in_a_new_process(tmp_path):
    model, pruner = models.mlp(), quiet()
    prune(pruner, model, sparsity=0.5)
    checkpoints.save_run(tmp_path / "run.ckpt", model=model, scheduler=pruner)
    again, fresh = quiet(), models.mlp()
    checkpoints.load_run(tmp_path / "run.ckpt", model=fresh, scheduler=again)
    assert again.state_dict()["masks"].keys() == pruner.state_dict()["masks"].keys()
    for one, who in ((model, pruner), (fresh, again)):
        for weight in one.parameters():
            weight.data.add_(torch.linspace(-1, 1, weight.numel()).view_as(weight))
        prune(who, one, sparsity=0.75)
    assert all(torch.equal(pruner.masks[name], mask) for name, mask in again.masks.items())
    assert again.pruning_history == pruner.pruning_history


@pytest.mark.parametrize(
    ("act", "error", "said"),
    [
        (lambda p, m: prune(p, m, ["output_proj"], 0.5), SelectionError, "'output_proj' matches no layer"),
        (lambda p, m: prune(p, m, ["fc3", "fcc"], 0.5), SelectionError, r"(?s)'fc3'.*Did you mean 'fc\d'.*'fcc'"),
        (lambda p, m: prune(p, m, "fc1", 0.5), SelectionError, r"expected a list of names: \['fc1'\]"),
        (lambda p, m: prune(p, m, [], 0.5), SelectionError, "empty"),
        (lambda p, m: prune(p, m, ["norm"], 0.5), SelectionError, "norm: protected layer type LayerNorm"),
        (lambda p, m: prune(p, m, ["fc1"], 50), SettingError, "for 50 % write 0.5"),
        (lambda p, m: prune(p, m, ["fc1"], True), SettingError, "sparsity is True"),
        (lambda p, m: p.prune_layer(nn.ReLU(), "act", 0.5), SelectionError, "no parameters"),
        (lambda p, m: MagnitudePruner(threshold=-0.1), SettingError, "threshold"),
        (lambda p, m: MagnitudePruner(threshold=float("nan")), SettingError, "threshold"),
        (lambda p, m: MagnitudePruner(target_sparsity=1.5), SettingError, "target_sparsity"),
        (lambda p, m: p.get_model_sparsity(m, ["fc9"]), SelectionError, "fc9"),
        (lambda p, m: p.load_state_dict({"masks": {}}), CheckpointError, "lacks pruning_history"),
        (lambda p, m: p.load_state_dict({"masks": {"a": {}}, "pruning_history": []}), CheckpointError, "damaged"),
    ],
)
def test_refusals_change_nothing(act, error, said):
    model = nn.ModuleDict({"fc1": nn.Linear(4, 4), "norm": nn.LayerNorm(4), "fc2": nn.Linear(4, 4)})
    pruner, before = quiet(), copy.deepcopy(model.state_dict())
    with pytest.raises(error, match=said) as caught:
        act(pruner, model)
    assert isinstance(caught.value, PrunusError)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert pruner.masks == {}
    assert pruner.pruning_history == []


def test_nan_is_refused_by_name_before_any_layer_is_pruned():
    model, pruner = models.mlp(), quiet()
    model[2].weight.data[0, 0] = float("nan")
    for sparsity in (0.5, None):
        with pytest.raises(ScoreError, match=r"2\.weight holds NaN"):
            prune(pruner, model, sparsity=sparsity)
    assert pruner.get_model_sparsity(model)["0"] == 0.0


def test_frozen_layers_are_refused_with_the_reason():
    with pytest.raises(SelectionError, match="0: frozen"):
        prune(quiet(), models.frozen(), ["0"], 0.5)
    assert list(prune(quiet(), models.frozen(), sparsity=0.5)) == ["2"]


def test_masks_of_another_model_are_refused():
    pruner = quiet()
    prune(pruner, models.mlp(), sparsity=0.25)
    stranger = models.mlp()
    with pytest.raises(SelectionError, match=r"(?s)belong to other weights.*0\.weight has 32 pruned places"):
        prune(pruner, stranger, sparsity=0.25)
    assert not any((weight == 0).any() for weight in stranger.parameters())
    pruner.apply_masks(stranger)
    assert prune(pruner, stranger, sparsity=0.5) == {"0": 64, "2": 32}


def test_masks_without_their_layer_are_refused():
    model, pruner = models.mlp(), quiet()
    pruner.prune_layer(model[0], "00", sparsity=0.5, verbose=False)
    with pytest.raises(SelectionError, match=r"00\.weight\. Did you mean '0\.weight'"):
        pruner.apply_masks(model)


def test_an_emptied_layer_is_warned_of_unless_asked_for():
    with pytest.warns(LayerCollapse, match="nothing is left of weight"):
        prune(quiet(threshold=100.0), nn.Linear(2, 2))
    with pytest.warns(LayerCollapse, match="nothing is left of weight"):
        prune(quiet(threshold=1.0), nn.Linear(2, 2))
    assert prune(quiet(), nn.Linear(2, 2), sparsity=1.0) == {"weight": 4}
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[1].weight.data.fill_(1e-6)
    with pytest.warns(LayerCollapse, match="nothing is left of 1,"):
        prune(quiet(scope=Global()), model, sparsity=0.5)


def test_the_documented_lines_are_said_by_default(capsys):
    model = nn.ModuleDict({"fc1": nn.Linear(4, 4), "fc2": nn.Linear(4, 2)})
    MagnitudePruner().prune_model(model, sparsity=0.5)
    said = "\nPruning layer: fc1\nPruned 8/16 weights (50.00%)\n\nPruning layer: fc2\nPruned 4/8 weights (50.00%)\n"
    assert capsys.readouterr().out == said
    MagnitudePruner().prune_layer(model["fc1"], sparsity=0.75)
    assert capsys.readouterr().out == "Pruned 12/16 weights (75.00%)\n"


def test_quiet_is_quiet_and_lines_may_go_elsewhere(capsys):
    model, lines = models.mlp(), []
    MagnitudePruner().prune_model(model, sparsity=0.5, verbose=False)
    MagnitudePruner(echo=lines.append).prune_layer(model[0], sparsity=0.5)
    assert capsys.readouterr().out == ""
    assert lines == ["Pruned 64/128 weights (50.00%)"]
