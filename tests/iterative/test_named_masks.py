"""Masks known by name: what is handed out, and what they refuse to meet."""

import pytest
import torch
from torch import nn

from prunus.errors import SelectionError
from prunus.iterative.named_masks import NamedMasks
from prunus.select import Target


def bound_and_waiting():
    model = nn.Linear(2, 1, bias=False)
    bound, waiting = NamedMasks(), NamedMasks()
    bound.bind([Target("weight", model, "weight")]).update({"weight": torch.tensor([[True, False]])})
    waiting.load_state_dict(bound.state_dict())
    return bound, waiting


@pytest.mark.parametrize("place", [0, 1], ids=["bound", "waiting"])
def test_masks_are_handed_out_as_copies(place):
    masks = bound_and_waiting()[place]
    masks.masks()["weight"].fill_(True)
    assert masks.masks()["weight"].tolist() == [[True, False]]


@pytest.mark.parametrize("place", [0, 1], ids=["bound", "waiting"])
def test_a_layer_whose_weight_is_none_has_no_weight(place):
    model = nn.Linear(2, 1)
    model.register_parameter("weight", None)
    with pytest.raises(SelectionError, match="masks without a weight in this model: weight"):
        bound_and_waiting()[place].apply_to(model)
