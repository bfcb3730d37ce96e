"""Erdős–Rényi densities: the formula of the papers, whole counts that add up, dense layers set aside."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunus.scopes import ErdosRenyi
from prunus.scopes.erdos_renyi import relative_density
from tests.twins import scopes as twin

LENET = [(300, 784), (100, 300), (10, 100)]
RESNET = [(16, 3, 3, 3), *[(16, 16, 3, 3)] * 6, (32, 16, 3, 3), *[(32, 32, 3, 3)] * 5, (64, 32, 3, 3), (10, 64)]


def counts(shapes, sparsity, kernel=True):
    pools = ErdosRenyi(kernel).allot([math.prod(shape) for shape in shapes], sparsity, shapes=shapes)
    return [pool.keep for pool in pools]


def test_densities_are_in_the_ratio_of_the_paper():
    kept = counts(LENET, 0.95)
    densities = [count / math.prod(shape) for count, shape in zip(kept, LENET, strict=True)]
    epsilon = [density * math.prod(shape) / sum(shape) for density, shape in zip(densities, LENET, strict=True)]
    assert max(epsilon) / min(epsilon) < 1.01 and sum(kept) == 13310


@pytest.mark.parametrize("kernel", [True, False])
@pytest.mark.parametrize("sparsity", [0.5, 0.8, 0.9, 0.95, 0.99])
def test_what_exceeds_density_one_is_dense_and_the_rest_is_within_half_a_weight_of_its_share(sparsity, kernel):
    kept = counts(RESNET, sparsity, kernel)
    sizes = [math.prod(shape) for shape in RESNET]
    assert sum(kept) == sum(sizes) - math.floor(sparsity * sum(sizes) + 1e-6)
    ratios = [float(relative_density(shape, kernel)) for shape in RESNET]
    sparse = [i for i in range(len(sizes)) if kept[i] < sizes[i]]
    factors = [((kept[i] - 0.5) / (ratios[i] * sizes[i]), (kept[i] + 0.5) / (ratios[i] * sizes[i])) for i in sparse]
    low, high = max(low for low, _ in factors), min(high for _, high in factors)
    assert low <= high, "one common factor explains every sparse count"
    assert all(high * ratios[i] * sizes[i] >= sizes[i] - 0.5 for i in set(range(len(sizes))) - set(sparse))


def test_a_small_layer_is_dense_where_it_would_exceed_one():
    assert counts([(100, 100), (2, 2)], 0.9)[1] == 4


def test_the_kernel_counts_when_asked():
    plain, kernel = counts([(64, 3, 7, 7), (64, 64, 3, 3)], 0.9, False), counts([(64, 3, 7, 7), (64, 64, 3, 3)], 0.9)
    assert plain[0] > kernel[0] and sum(plain) == sum(kernel)


@pytest.mark.parametrize("shape", [(), (0, 3), (5,)])
def test_vectors_and_empty_tensors_count_as_dense(shape):
    assert relative_density(shape) == 1


shapes = st.lists(st.lists(st.integers(1, 5), min_size=1, max_size=4).map(tuple), min_size=1, max_size=6)


@given(shapes=shapes, share=st.floats(0, 1), kernel=st.booleans())
def test_counts_equal_those_handed_out_one_by_one(shapes, share, kernel):
    kept = counts(shapes, share, kernel)
    assert kept == twin.erdos_renyi(sum(kept), [math.prod(shape) for shape in shapes], shapes, kernel)
