"""Which parameters take part, and what is said about the ones that do not."""

import pytest
import torch
from torch import nn
from torch.nn.utils import prune as torch_prune

from prunus.errors import SelectionError, SettingError
from prunus.select import Select, explain, require_in_optimizer, targets
from tests import models


def names(model, **settings):
    return [target.name for target in targets(model, Select(**settings))]


def test_weights_of_layers_take_part_and_biases_do_not():
    assert names(models.mlp()) == ["0.weight", "2.weight"]
    assert names(models.mlp(), biases=True) == ["0.weight", "0.bias", "2.weight", "2.bias"]


def test_a_tied_weight_counts_once_under_its_first_name_and_answers_to_both():
    assert names(models.Tied()) == ["embed.weight", "body.weight"]
    assert names(models.Tied(), include=("head.weight",)) == ["embed.weight"]
    assert names(models.Tied(), exclude=["head.*"]) == ["body.weight"]


def test_recurrent_weights_take_part_without_their_biases():
    assert names(models.recurrent()) == ["weight_ih_l0", "weight_hh_l0"]


def test_frozen_parameters_stay_out_with_the_reason():
    reasons = {choice.target.name: choice.reason for choice in explain(models.frozen())}
    assert reasons["0.weight"] == "frozen" and reasons["2.weight"] == "" and reasons["2.bias"] == "bias or vector"


def test_norms_and_prelu_are_protected_from_patterns_but_not_from_their_literal_name():
    model = models.normed()
    assert names(model, biases=True, include=("*weight",)) == ["0.weight", "5.weight"]
    assert names(model, include=("1.weight", "0.weight")) == ["0.weight", "1.weight"]


@pytest.mark.parametrize("kind", ["Conv2d", "torch.nn.Conv2d", "torch.nn.modules.conv.Conv2d"])
def test_types_narrow_by_bare_and_dotted_name(kind):
    assert names(models.normed(), types=(kind,)) == ["0.weight"]


def test_types_know_base_classes():
    class Mine(nn.Linear):
        pass

    assert names(nn.Sequential(Mine(4, 4), nn.Conv1d(4, 4, 1)), types=["Linear"]) == ["0.weight"]


def test_a_module_name_stands_for_all_its_parameters():
    assert names(models.mlp(), include=("2",), biases=True) == ["2.weight", "2.bias"]


def test_small_parameters_can_be_left_out():
    assert names(models.mlp(), min_elements=64) == ["0.weight", "2.weight"]
    assert names(models.mlp(), min_elements=65) == ["0.weight"]
    assert names(models.mlp(), min_elements=0) == names(models.mlp())


def test_the_name_of_a_nested_module_is_a_pattern():
    model = nn.Sequential(models.mlp(), models.mlp())
    assert names(model, include=("1.2",)) == ["1.2.weight"]


def test_a_module_that_is_used_twice_answers_to_both_names():
    layer = nn.Linear(2, 2)
    assert names(nn.Sequential(layer, layer), include=("1.weight",)) == ["0.weight"]


def test_a_parameter_that_torch_takes_over_in_the_middle_of_a_run_is_followed():
    model = models.mlp()
    target = targets(model)[0]
    before = target.parameter
    torch_prune.identity(model[0], "weight")
    assert target.parameter is before is model[0].weight_orig


def test_every_pattern_without_a_match_is_listed_in_one_error():
    with pytest.raises(SelectionError) as caught:
        targets(models.mlp(), Select(include=("0.weigth", "2.*"), exclude=("bn.*",), types=("Linaer",)))
    text = str(caught.value)
    assert "'0.weigth' matches no parameter. Did you mean '0.weight'?" in text
    assert "exclude 'bn.*'" in text and "Did you mean 'Linear'?" in text


@pytest.mark.parametrize("choose", [targets, explain])
def test_a_pattern_without_a_match_is_an_error_beside_one_that_matches(choose):
    with pytest.raises(SelectionError, match="^the selection does not fit the model: include '9' matches no parameter"):
        choose(models.mlp(), Select(include=("0.weight", "9")))


def test_an_empty_selection_is_an_error_that_gives_the_reasons():
    with pytest.raises(SelectionError, match="0.weight: fewer than 1000 elements"):
        targets(models.mlp(), Select(min_elements=1000))


def test_a_bare_string_is_not_taken_for_a_list_of_letters():
    with pytest.raises(SelectionError, match=r"expected a list of patterns: \['fc'\]"):
        Select(include="fc")
    with pytest.raises(SettingError, match="min_elements"):
        Select(min_elements=-1)


def test_lists_become_tuples_so_that_settings_compare_and_hash():
    assert Select(include=["a"]) == Select(include=("a",)) and hash(Select(exclude=["b"]))


def test_transposed_convolutions_are_seen_with_output_channels_first():
    target = targets(models.convs(), Select(types=("ConvTranspose2d",)))[0]
    assert target.parameter.shape == (8, 6, 2, 2)
    assert target.canonical(target.parameter).shape == (6, 8, 2, 2)
    assert torch.equal(target.canonical(target.canonical(target.parameter)), target.parameter)


def test_uninitialized_lazy_parameters_are_passed_over():
    assert names(nn.Sequential(nn.LazyLinear(4), nn.Linear(4, 4))) == ["1.weight"]


def test_an_optimizer_that_lacks_targets_is_named_with_them():
    model = models.mlp()
    optimizer = torch.optim.SGD(model[0].parameters(), lr=0.1)
    with pytest.raises(SelectionError, match=r"2\.weight"):
        require_in_optimizer(targets(model), optimizer)
