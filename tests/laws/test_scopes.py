"""Run every scope through every law, on scores with ties, empty tensors, half precision and odd layouts."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from prunus.scopes import SCOPES
from tests.laws.scopes import LAWS

DRAW = torch.Generator().manual_seed(0)
SCORES = {
    "mixed sizes": [torch.rand(7, generator=DRAW), torch.rand(1, generator=DRAW), torch.rand(40, generator=DRAW)],
    "ties": [torch.randint(0, 3, (size,), generator=DRAW).float() for size in (9, 4, 12)],
    "all equal": [torch.ones(5), torch.ones(6)],
    "all zero": [torch.zeros(11)],
    "infinite": [torch.tensor([torch.inf, 1.0, torch.inf]), torch.tensor([-torch.inf, 2.0])],
    "empty tensor": [torch.ones(0), torch.rand(10, generator=DRAW)],
    "nothing": [],
    "one weight": [torch.ones(1)],
    "half": [torch.rand(20, generator=DRAW).half(), torch.rand(20, generator=DRAW).bfloat16()],
    "double": [torch.rand(20, generator=DRAW, dtype=torch.float64) * 1e-300],
    "layers": [torch.rand(shape, generator=DRAW) for shape in ((4, 2, 3, 3), (9, 6), (6, 9), (5,))],
    "matrices": [torch.rand(4, 6, generator=DRAW).t(), torch.rand(2, 3, 2, generator=DRAW)],
}


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
@pytest.mark.parametrize("scores", SCORES.values(), ids=SCORES.keys())
@pytest.mark.parametrize("name", SCOPES)
def test_every_scope_keeps_every_law(name, scores, law):
    law(SCOPES[name](), scores)


tensors = st.lists(st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0, 2.0]), max_size=12).map(torch.tensor), max_size=4)


@given(scores=tensors, name=st.sampled_from(sorted(SCOPES)))
def test_any_scores_keep_every_law(scores, name):
    for law in LAWS:
        law(SCOPES[name](), [score.float() for score in scores])
