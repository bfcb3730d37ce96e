"""What is special to single structures: views, hand-made groups, messages."""

from __future__ import annotations

import pytest
import torch

from prunus.errors import SettingError, StructureError
from prunus.structures import NM, Block, Channel, Column, Element, Filter, Kernel, Layer, Row, get_structure


@pytest.mark.parametrize("structure", [Element(), Filter(), Kernel(), Layer()], ids=str)
def test_leading_groups_are_views_of_a_contiguous_weight(structure):
    weight = torch.zeros(4, 3, 2, 2)
    structure.split(weight).fill_(1.0)
    assert weight.min() == 1.0


@pytest.mark.parametrize("structure", [Row(), Column(), Channel()], ids=str)
def test_rows_and_columns_of_a_matrix_are_views(structure):
    weight = torch.zeros(4, 3)
    structure.split(weight).fill_(1.0)
    assert weight.min() == 1.0


def test_block_tiles_left_to_right_then_down():
    weight = torch.arange(16).reshape(4, 4)
    assert Block(2, 2).split(weight).tolist() == [[0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 12, 13], [10, 11, 14, 15]]


def test_channel_of_a_convolution_by_hand():
    weight = torch.arange(12).reshape(2, 3, 2)
    assert Channel().split(weight).tolist() == [[0, 1, 6, 7], [2, 3, 8, 9], [4, 5, 10, 11]]


def test_block_says_by_how_much_both_sides_are_off():
    with pytest.raises(StructureError) as caught:
        Block(4, 8).split(torch.zeros(10, 3, 3))
    assert str(caught.value) == (
        "Block(rows=4, cols=8) cannot split a tensor of shape (10, 3, 3): "
        "10 rows do not divide into tiles of 4, 2 left over; 9 columns do not divide into tiles of 8, 1 left over"
    )


@pytest.mark.parametrize(
    ("structure", "shape", "advice"),
    [
        (Row(), (4, 3, 3, 3), "Filter"),
        (Column(), (4, 3, 3), "Channel"),
        (Kernel(), (4, 3), "Row"),
        (Filter(), (4,), "at least 2"),
    ],
    ids=str,
)
def test_refusals_say_what_fits_instead(structure, shape, advice):
    with pytest.raises(StructureError, match=advice):
        structure.split(torch.zeros(shape))


@pytest.mark.parametrize("setting", [{"rows": 0}, {"cols": 2.0}, {"rows": True}], ids=str)
def test_block_refuses_sizes_that_are_no_counts(setting):
    with pytest.raises(SettingError, match="whole number"):
        Block(**setting)


def test_get_structure_passes_structures_through_and_names_the_nearest():
    assert get_structure(Block(2, 2)) == Block(2, 2) and get_structure({"name": "row"}) == Row()
    with pytest.raises(SettingError, match="Did you mean 'filter'"):
        get_structure("filters")
    with pytest.raises(SettingError, match="height"):
        get_structure({"name": "block", "height": 2})
    with pytest.raises(SettingError, match="structure"):
        get_structure({"rows": 2})


@pytest.mark.parametrize(("n", "m"), [(0, 4), (4, 4), (2.0, 4), (1, 2.5), (True, 4), (1, "4"), (0, 1)])
def test_sets_of_other_sizes_are_refused(n, m):
    with pytest.raises(SettingError, match=r"^[nm] is "):
        NM(n, m)
