"""Passes over bits and bytes do what the plain torch calls do, whatever dtype and layout."""

from __future__ import annotations

import pytest
import torch

from prunus import _pieces

LAYOUTS = {
    "plain": lambda t: t,
    "transposed": lambda t: t.transpose(0, 1),
    "channels_last": lambda t: t.to(memory_format=torch.channels_last),
    "strided": lambda t: t[::2, :, ::2],
    "expanded": lambda t: t[:1].expand(3, *t.shape[1:]).contiguous()[:, :1].expand(-1, 2, -1, -1).clone(),
    "empty": lambda t: t[:0],
    "scalar": lambda t: t[0, 0, 0, 0],
}


def kept(marks):
    """The bytes that keep what is not marked: -1 and 0."""
    return marks.to(torch.int8).sub(1)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("chunk", [7, 1 << 18])
def test_clear_sets_the_marked_places_to_plus_zero(dtype, layout, chunk, monkeypatch):
    monkeypatch.setattr(_pieces, "CHUNK", chunk)
    tensor = torch.randn(4, 6, 4, 2).to(dtype)
    tensor[0, :3] = torch.tensor([torch.nan, -0.0, torch.inf], dtype=dtype)[:, None, None]
    tensor = LAYOUTS[layout](tensor)
    marks = torch.empty_like(tensor, dtype=torch.bool).copy_(torch.rand(tensor.shape) < 0.5)
    expected = torch.where(marks, torch.zeros((), dtype=dtype), tensor)
    before = tensor._version
    _pieces.clear_(tensor, kept(marks))
    assert tensor.tolist().__repr__() == expected.tolist().__repr__()  # NaN and signs included
    assert tensor._version > before or not tensor.numel()


def test_clear_takes_marks_of_another_layout_and_leaves_gradients_alone():
    weight = torch.nn.Parameter(torch.ones(3, 5))
    _pieces.clear_(weight, kept(torch.eye(5, 3, dtype=torch.bool).t()))
    assert weight.count_nonzero() == 12 and weight.grad_fn is None and weight.requires_grad


def test_a_graph_that_needs_the_old_values_is_told():
    weight = torch.nn.Parameter(torch.ones(3))
    loss = weight.square().sum()
    _pieces.clear_(weight, kept(torch.tensor([True, False, False])))
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


@pytest.mark.parametrize("shape", [(4, 1), (4, 5), (0, 3)])
def test_any_in_rows(shape):
    flags = torch.rand(shape) < 0.3
    assert torch.equal(_pieces.any_in_rows(flags), flags.any(dim=1))


@pytest.mark.parametrize("layout", ["plain", "transposed", "channels_last", "strided", "empty"])
def test_lost(layout):
    before = LAYOUTS[layout](torch.rand(4, 6, 4, 2) < 0.5)
    assert not _pieces.lost(before, before.clone()) and not _pieces.lost(before, torch.ones_like(before))
    assert _pieces.lost(before, torch.zeros_like(before)) == bool(before.any())
