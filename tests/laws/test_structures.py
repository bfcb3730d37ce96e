"""Every structure keeps every law, on every shape that it accepts."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from prunus import structures
from prunus.structures import STRUCTURES, get_structure
from tests.laws import structures as laws
from tests.twins.structures import PLACES

SHAPES = [
    (),
    (1,),
    (6,),
    (4, 4),
    (8, 12),
    (1, 4),
    (4, 1),
    (8, 4, 3),
    (4, 8, 3, 3),
    (4, 1, 5, 5),
    (8, 4, 1, 1),
    (4, 2, 2, 2, 3),
]
EMPTY = [(0,), (0, 4), (4, 0), (4, 4, 0), (0, 4, 3, 3)]
MEMBERS = [get_structure(name) for name in STRUCTURES] + [structures.Block(2, 3), structures.Block(1, 1)]
MEMBERS += [structures.NM(1, 2), structures.NM(2, 3), structures.NM(4, 8)]
FITTING = [(member, shape) for member in MEMBERS for shape in SHAPES if member.misfit(shape) is None]
FITTING_EMPTY = [(member, shape) for member in MEMBERS for shape in EMPTY if member.misfit(shape) is None]
every_fit = pytest.mark.parametrize(("structure", "shape"), FITTING + FITTING_EMPTY, ids=str)
every_solid_fit = pytest.mark.parametrize(("structure", "shape"), [f for f in FITTING if f[1]], ids=str)


def random_weight(shape, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(dtype)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16, torch.bool, torch.int64])
@every_fit
def test_round_trip(structure, shape, dtype):
    laws.law_round_trip_is_bit_exact(structure, random_weight(shape, dtype))


@every_fit
def test_partition(structure, shape):
    laws.law_every_entry_is_in_exactly_one_group(structure, shape)
    laws.law_expand_repeats_one_value_a_group(structure, shape)
    laws.law_the_grid_shows_where_groups_lie(structure, shape)
    laws.law_a_group_is_marked_where_any_of_its_places_is(structure, shape)
    laws.law_join_and_expand_refuse_wrong_counts(structure, shape)


@every_solid_fit
def test_budget(structure, shape):
    laws.law_a_budget_divides_every_output(structure, shape)


@every_solid_fit
def test_groups(structure, shape):
    laws.law_groups_are_those_of_the_twin(structure, shape, PLACES[structure.name])
    laws.law_memory_layout_is_irrelevant(structure, random_weight(shape))
    laws.law_split_and_join_are_differentiable(structure, random_weight(shape))


@pytest.mark.parametrize("structure", MEMBERS, ids=str)
@given(shape=st.lists(st.integers(0, 6), max_size=5).map(tuple))
@settings(max_examples=40, deadline=None)
def test_any_shape_is_split_or_refused(structure, shape):
    laws.law_misfit_is_what_require_and_split_say(structure, shape)
    if structure.misfit(shape) is None:
        laws.law_round_trip_is_bit_exact(structure, random_weight(shape))
        laws.law_every_entry_is_in_exactly_one_group(structure, shape)
        if 0 not in shape:
            laws.law_a_budget_divides_every_output(structure, shape)


@pytest.mark.parametrize("structure", MEMBERS, ids=str)
def test_is_a_value(structure):
    laws.law_is_a_frozen_value(structure, get_structure)


def test_registry_is_complete_sorted_and_tested():
    assert list(STRUCTURES) == sorted(STRUCTURES) == sorted(PLACES)
    assert all(member.name == name and member.__name__ in structures.__all__ for name, member in STRUCTURES.items())
    assert {member.name for member, _ in FITTING} == set(STRUCTURES)
