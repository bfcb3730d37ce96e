"""Zeros are counted in one place: natural, negative and masked ones."""

import pytest
import torch

from prunus import measure
from prunus.errors import SelectionError
from prunus.masks import MaskStore
from prunus.select import Select, targets
from tests import models


def test_both_zeros_count_and_nan_does_not():
    assert measure.count(torch.tensor([0.0, -0.0, float("nan"), 1e-45])) == measure.Count(2, 4)


def test_a_model_counts_its_selected_weights_by_hand():
    model = models.mlp()
    with torch.no_grad():
        model[0].weight[:4] = 0
        model[0].bias.zero_()
    assert measure.count(model) == measure.Count(32, 128 + 64)
    assert measure.sparsity(model, select=Select(include=("0.*",))) == 0.25


def test_a_tied_weight_counts_once():
    assert measure.count(models.Tied()).total == 12 * 6 + 36


def test_masked_and_natural_zeros_count_once_each():
    model = models.mlp()
    store = MaskStore(targets(model))
    mask = torch.ones(16, 8, dtype=torch.bool)
    mask[:2] = False
    store.update({"0.weight": mask})
    with torch.no_grad():
        model[0].weight[1:3] = 0
    assert measure.count(model, masks=store) == measure.Count(24, 192)
    assert measure.count(model) == measure.Count(16, 192)
    assert measure.sparsity(model, masks=store) == 24 / 192


def test_nothing_is_dense():
    assert measure.count([]).sparsity == 0.0 and measure.count(torch.empty(0)) == measure.Count(0, 0)


def test_selecting_among_bare_tensors_is_refused():
    with pytest.raises(SelectionError, match="no names"):
        measure.sparsity([torch.ones(1)], select=Select())
    with pytest.raises(SelectionError, match="no names"):
        measure.sparsity(torch.ones(1), masks=MaskStore([]))


def test_the_table_counts_zeros_and_empty_output_rows_in_their_own_dimension():
    model = models.convs()
    with torch.no_grad():
        model[2].weight[:, 1] = 0
        model[0].weight[3] = 0
    rows = {row.name: row for row in measure.table(model)}
    assert rows["2.weight"].empty_rows == 1 and rows["2.weight"].count.zeros == 8 * 4
    assert rows["0.weight"].empty_rows == 1 and rows["1.weight"].empty_rows == 0
    assert sum(row.count.total for row in rows.values()) == measure.count(model).total


def test_the_table_sees_masks():
    model = models.mlp()
    store = MaskStore(targets(model))
    store.update({"2.weight": torch.zeros(4, 16, dtype=torch.bool)})
    assert [row.count.sparsity for row in measure.table(model, masks=store)] == [0.0, 1.0]
    assert measure.table(model, masks=MaskStore([])) == measure.table(model)


def test_each_entry_of_a_vector_is_a_row_of_the_table():
    model = models.mlp()
    with torch.no_grad():
        model[0].bias[:3] = 0
    assert [row.empty_rows for row in measure.table(model, select=Select(biases=True))] == [0, 3, 0, 0]


def test_size_is_that_of_the_written_file(tmp_path):
    state = {"weight": torch.randn(500)}
    torch.save(state, tmp_path / "state.pt")
    assert abs(measure.size_on_disk(state) - (tmp_path / "state.pt").stat().st_size) < 64
    assert measure.size_on_disk(state, lambda path, _: path.write_bytes(b"12345")) == 5


def test_counts_read_well():
    assert str(measure.Count(98, 100)) == "98.00 % (2 of 100 left)" and measure.Count(1, 4).density == 0.75
