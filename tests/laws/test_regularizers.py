"""Every regularizer keeps every law, on every shape that it accepts."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from prunus import regularizers
from prunus.errors import StructureError
from prunus.regularizers import REGULARIZERS, GroupLasso, RegSoftBernoulli
from prunus.structures import STRUCTURES, get_structure
from tests.laws import regularizers as laws
from tests.twins import regularizers as twin

SHAPES = [(), (5,), (1,), (4, 8), (1, 4), (4, 1), (4, 4, 3), (4, 4, 3, 3), (4, 4, 1, 1), (4, 4, 2, 2, 2)]
EMPTY = [(0,), (0, 4), (4, 0), (0, 4, 3, 3), (4, 4, 0, 3)]
# Strengths other than 1, so that a squared or a forgotten strength shows.
MEMBERS = [member(lamda=0.3) for member in REGULARIZERS.values()]
MEMBERS += [GroupLasso(0.3, get_structure(name)) for name in STRUCTURES] + [RegSoftBernoulli(0.3, probability=0.0)]


def fits(reg, shape):
    try:
        reg.price(shape)
    except StructureError:
        return False
    return True


def point(shape, seed=0, scale=1.0):
    """Draw a weight with zero entries, a whole zero slice, and entries on both sides of the threshold."""
    dice = torch.Generator().manual_seed(seed)
    x = scale * torch.randn(shape, generator=dice, dtype=torch.float64)
    x = x * (torch.rand(shape, generator=dice) < 0.8)
    if x.ndim > 1 and shape[0] > 1:
        x[0] = 0.0
        x[:, 0] *= 0.01
    return x


FITTING = [(reg, shape) for reg in MEMBERS for shape in SHAPES if fits(reg, shape)]
every = pytest.mark.parametrize(("reg", "shape"), FITTING, ids=str)
every_convex = pytest.mark.parametrize(("reg", "shape"), [f for f in FITTING if f[0].convex], ids=str)
every_member = pytest.mark.parametrize("reg", MEMBERS, ids=str)
deltas = pytest.mark.parametrize("delta", [1.0, 0.3, 2.5])


@every
def test_value_and_subgradient(reg, shape):
    x = point(shape)
    laws.law_value_is_that_of_the_twin(reg, x)
    laws.law_gradient_of_the_value_is_sub_grad(reg, x)
    laws.law_gradient_of_the_value_is_sub_grad(reg, torch.zeros_like(x))
    laws.law_sub_grad_is_proportional_to_lamda(reg, x)


@deltas
@every_convex
def test_prox(reg, shape, delta):
    x = point(shape)
    laws.law_prox_is_the_numerical_minimiser(reg, x, delta)
    laws.law_prox_beats_every_neighbour(reg, x, delta, torch.Generator().manual_seed(1))
    laws.law_prox_and_dual_projection_add_up(reg, x, delta)
    laws.law_dual_start_leaves_the_weight_where_it_is(reg, x, delta)
    for weight in (x, -x.abs()):
        laws.law_lambda_max_is_the_smallest_that_leaves_nothing(reg, weight, delta)


@every_convex
def test_thresholds(reg, shape):
    laws.law_no_strength_or_no_step_is_the_identity(reg, point(shape))
    laws.law_radius_is_where_groups_die(reg, point(shape))


@every
def test_tensors(reg, shape):
    laws.law_in_place_twin_is_equal_and_keeps_the_storage(reg, point(shape), 0.7)
    laws.law_dtype_is_kept(reg, point(shape, scale=3.0), 0.7)
    laws.law_nan_is_never_hidden(reg, point(shape), 0.7)


@pytest.mark.parametrize(("reg", "shape"), [(r, s) for r in MEMBERS for s in EMPTY if fits(r, s)], ids=str)
def test_empty(reg, shape):
    laws.law_empty_tensors_are_fine(reg, torch.zeros(shape))
    laws.law_in_place_twin_is_equal_and_keeps_the_storage(reg, torch.zeros(shape), 0.7)


@every_member
@given(
    seeds=st.tuples(st.integers(0, 999), st.integers(0, 999)),
    scale=st.sampled_from([1e-3, 0.3, 1.0, 50.0]),
    lamda=st.floats(0, 3),
    delta=st.floats(1e-3, 5),
)
@settings(max_examples=25, deadline=None)
def test_inequalities(reg, seeds, scale, lamda, delta):
    reg = copy.deepcopy(reg)
    reg.lamda = lamda
    shape = next(shape for shape in ((4, 8), (4, 4, 2, 2)) if fits(reg, shape))
    x, y = (point(shape, seed, scale) for seed in seeds)
    laws.law_sub_grad_supports_the_value(reg, x, y)
    if reg.convex:
        laws.law_prox_is_firmly_non_expansive(reg, x, y, delta)


@every_member
def test_object(reg):
    x = next(point(shape) for shape in ((8, 8), (8, 8, 2, 2)) if fits(reg, shape))
    laws.law_settings_rebuild_it(reg)
    laws.law_wrong_delta_is_refused(reg, x)
    laws.law_state_resumes_where_it_stopped(reg, x, 0.7)
    laws.law_strength_is_checked_on_every_assignment(reg)


@pytest.mark.parametrize("reg", [member(lamda=0.3) for member in REGULARIZERS.values()], ids=str)
def test_randomness(reg):
    x = next(torch.full(s, 0.1) for s in ((99, 9), (33, 9, 3, 3)) if fits(reg, s))
    laws.law_random_only_where_declared(reg, x, 0.7)


def test_registry_is_complete_sorted_and_tested():
    assert list(REGULARIZERS) == sorted(REGULARIZERS) and set(REGULARIZERS) == twin.NAMES
    assert all(m.name == name and m.__name__ in regularizers.__all__ for name, m in REGULARIZERS.items())
    assert {reg.name for reg, _ in FITTING} == set(REGULARIZERS)
