"""Exactly k in each row: the laws, what is refused, and pieces."""

from __future__ import annotations

import pytest
import torch

from prunus import _rows, keep
from prunus.errors import ScoreError, SettingError
from tests.laws.rows import LAWS
from tests.twins import keep as twin

pytestmark = pytest.mark.usefixtures("kernels")


@pytest.mark.parametrize("law", LAWS)
def test_it_keeps_every_law(law):
    law(keep.exactly_in_rows)


@pytest.mark.parametrize("law", LAWS)
def test_it_keeps_every_law_in_small_pieces(law, monkeypatch):
    monkeypatch.setattr(_rows, "CHUNK", 12)
    law(keep.exactly_in_rows)


@pytest.mark.parametrize("law", LAWS)
def test_comparing_in_torch_as_accelerators_do_is_the_same(law, monkeypatch):
    monkeypatch.setattr(_rows, "_comparison", lambda flat, ahead: (torch.ge, flat, ahead))
    law(keep.exactly_in_rows)


@pytest.mark.parametrize("members", [2, 4, 8])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_neighbouring_floats_are_told_apart(members, dtype):
    rows = torch.rand(200, members, dtype=dtype).view(torch.int32 if dtype == torch.float32 else torch.int64)
    scores = torch.cat([rows, rows + torch.randint(-1, 2, rows.shape)]).view(dtype)
    mask = keep.exactly_in_rows(scores, members // 2)
    assert all(torch.equal(kept, twin.exactly([row], members // 2)[0]) for kept, row in zip(mask, scores, strict=True))


@pytest.mark.parametrize("members", [4, 5])
def test_a_nan_is_named(members, monkeypatch):
    monkeypatch.setattr(_rows, "CHUNK", 2 * members)
    scores = torch.zeros(9, members)
    scores[7, 2] = torch.nan
    with pytest.raises(ScoreError, match=r"scores\[7, 2\] is NaN"):
        keep.exactly_in_rows(scores, 2)
    scores[8] = torch.tensor([torch.inf, -torch.inf] + [0.0] * (members - 2))
    keep.exactly_in_rows(scores[8:], 2)


def test_wrong_questions_are_refused():
    scores = torch.zeros(3, 4)
    for wrong in (-1, 5, 1.5, True):
        with pytest.raises(SettingError, match="keep is"):
            keep.exactly_in_rows(scores, wrong)
    for wrong in (torch.zeros(4), torch.zeros(3, 4, dtype=torch.int32)):
        with pytest.raises(ScoreError, match="expected a floating-point matrix"):
            keep.exactly_in_rows(wrong, 1)
    for wrong in (torch.ones(3, 4), torch.ones(4, 3, dtype=torch.bool)):
        with pytest.raises(SettingError, match="among is"):
            keep.exactly_in_rows(scores, 1, among=wrong)
