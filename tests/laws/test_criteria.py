"""Run every criterion through every law, on every structure and on awkward weights."""

from __future__ import annotations

import math

import pytest
import torch

from prunus.criteria import CRITERIA
from prunus.structures import STRUCTURES
from tests.laws.criteria import LAWS, law_equals_its_slow_twin
from tests.twins.criteria import TWINS

EVERY = [kind() for kind in CRITERIA.values()] + [
    CRITERIA["magnitude"](p, average) for p in (0.5, 2, 3, math.inf) for average in (False, True)
]
SHAPES = {
    "matrix": (8, 12),
    "conv2d": (8, 4, 3, 3),
    "conv3d": (4, 4, 2, 3, 2),
    "bias": (7,),
    "one weight": (1, 1),
    "no rows": (0, 4),
    "no columns": (4, 0),
}
CASES = [
    pytest.param(STRUCTURES[structure](), shape, id=f"{structure}-{name}")
    for structure in STRUCTURES
    for name, shape in SHAPES.items()
    if STRUCTURES[structure]().misfit(shape) is None
]


def weights(shape):
    """Return ordinary weights, and the same with zeros and ties."""
    drawn = torch.randn(shape, generator=torch.Generator().manual_seed(len(shape)))
    return [drawn, drawn.mul(2).round(), torch.zeros(shape)]


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
@pytest.mark.parametrize(("structure", "shape"), CASES)
def test_every_criterion_keeps_every_law(structure, shape, law):
    for criterion in EVERY:
        for weight in weights(shape):
            law(criterion, weight, structure)


@pytest.mark.parametrize("name", TWINS)
@pytest.mark.parametrize(("structure", "shape"), [case for case in CASES if 0 not in case.values[1]])
def test_every_criterion_equals_its_twin(structure, shape, name):
    for criterion in [member for member in EVERY if type(member) is CRITERIA[name]]:
        for weight in weights(shape):
            law_equals_its_slow_twin(criterion, weight, structure, TWINS[name])


def test_every_criterion_that_does_not_draw_has_a_twin():
    assert set(TWINS) == {name for name, kind in CRITERIA.items() if not kind.random}
