"""Values, gradients and masks of every class equal tables worked out by hand, and its slow twin."""

from __future__ import annotations

from math import sqrt
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from prunus.errors import RunError, ScoreError
from prunus.recipes.distiller.contract import Chosen, Regularizer
from prunus.recipes.distiller.regularizers import (
    GroupLassoRegularizer,
    GroupVarianceRegularizer,
    L1Regularizer,
)
from prunus.select import targets
from tests.twins import distiller_regularizers as twin

MATRIX = torch.tensor([[3.0, 0.0, -4.0], [0.0, 12.0, 0.0]], dtype=torch.float64)
# filters [[3, 4], [0, 12]] and [[0, 0], [5, 0]] of two channels with kernels of 1 by 2
FILTERS = torch.tensor([[[[3.0, 4.0]], [[0.0, 12.0]]], [[[0.0, 0.0]], [[5.0, 0.0]]]], dtype=torch.float64)
SHAPES: dict[str, tuple[int, ...]] = {
    "2D": (3, 4, 2, 2),
    "3D": (3, 4, 2, 2),
    "4D": (3, 4, 2, 2),
    "Channels": (3, 4, 2, 2),
    "Filters": (3, 4, 2, 2),
    "Rows": (3, 5),
    "Cols": (3, 5),
}
SUMS = ["Rows+Cols", "Cols+Rows", "Channels+Rows", "Channels+4D", "4D+Channels", "2D+3D+Channels+4D"]
CLASSES = {"l1": L1Regularizer, "lasso": GroupLassoRegularizer, "variance": GroupVarianceRegularizer}


def weights_of(*shape: int, seed: int = 0) -> Tensor:
    """Few distinct values, so that some are equal to a threshold."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(-3, 4, shape, generator=generator).to(torch.float64) / 4


def holding(weight: Tensor) -> nn.Module:
    """A layer with exactly this weight, without a bias."""
    outputs, inputs, *kernel = weight.shape
    layer = nn.Conv2d(inputs, outputs, tuple(kernel), bias=False) if kernel else nn.Linear(inputs, outputs, bias=False)
    layer.weight.data = weight.clone()
    return layer


def chosen(weight: Tensor) -> Chosen:
    return Chosen({"module.weight": targets(holding(weight))[0]})


def of(kind: str, strength: float, groups: str = "", criterion: str | None = None) -> Regularizer:
    regime: Any = (strength, groups) if groups else strength
    return CLASSES[kind]({"module.weight": regime}, criterion)


def penalty(regularizer: Regularizer, weight: Tensor) -> float:
    return regularizer.penalty(chosen(weight)).item()


def mask(regularizer: Regularizer, weight: Tensor) -> Tensor:
    (found,) = regularizer.keep(chosen(weight)).values()
    return found


@pytest.mark.parametrize(
    ("kind", "groups", "weight", "by_hand"),
    [
        ("l1", "", MATRIX, 19.0),
        ("l1", "", FILTERS, 24.0),
        ("lasso", "Rows", MATRIX, 5.0 + 12.0),
        ("lasso", "Cols", MATRIX, 3.0 + 12.0 + 4.0),
        ("lasso", "Rows+Cols", MATRIX, 17.0 + 19.0),
        ("lasso", "Cols+Rows", MATRIX, 17.0 + 19.0),
        ("lasso", "Channels", MATRIX, sqrt(9 + 1e-8) + sqrt(144 + 1e-8) + sqrt(16 + 1e-8)),
        ("lasso", "2D", FILTERS, 5.0 + 12.0 + 0.0 + 5.0),
        ("lasso", "3D", FILTERS, 13.0 + 5.0),
        ("lasso", "Filters", FILTERS, 13.0 + 5.0),
        ("lasso", "Channels", FILTERS, sqrt(25 + 1e-8) + sqrt(169 + 1e-8)),
        ("lasso", "4D", FILTERS, sqrt(194)),
        ("lasso", "Channels+4D", FILTERS, sqrt(25 + 1e-8) + sqrt(169 + 1e-8) + sqrt(194)),
        ("lasso", "4D+Channels", FILTERS, sqrt(25 + 1e-8) + sqrt(169 + 1e-8) + sqrt(194)),
        ("lasso", "2D+3D", FILTERS, 22.0 + 18.0),
        ("lasso", "2D", 0 * FILTERS, 0.0),
        ("lasso", "3D", 0 * FILTERS, 0.0),
        ("lasso", "4D", 0 * FILTERS, 0.0),
        ("lasso", "Channels", 0 * FILTERS, 2e-4),
        # lengths a and b of two channels: the variance is (a - b)²/2
        ("variance", "Channels", FILTERS, 2 / (sqrt(169 + 1e-8) - sqrt(25 + 1e-8)) ** 2),
        # lengths near 3, 12 and 4: mean 19/3, squares 100/9 + 289/9 + 49/9, variance 73/3
        ("variance", "Channels", MATRIX * 1e6, 3 / 73 * 1e-12),
    ],
)
def test_values_by_hand(kind: str, groups: str, weight: Tensor, by_hand: float) -> None:
    for strength in (1.0, 0.01, 0.000012):
        assert penalty(of(kind, strength, groups), weight) == pytest.approx(strength * by_hand, rel=1e-12, abs=1e-15)


@pytest.mark.parametrize(
    ("kind", "groups"),
    [("l1", ""), *(("lasso", group) for group in [*SHAPES, *SUMS]), ("variance", "Channels")],
)
@pytest.mark.parametrize("seed", range(3))
def test_values_and_gradients_equal_the_twin(kind: str, groups: str, seed: int) -> None:
    shape = SHAPES.get(groups.split("+")[-1], (3, 5))
    weight = weights_of(*shape, seed=seed)
    weight[:, 1] = 0.0
    selected = chosen(weight)
    found = of(kind, 0.013, groups).penalty(selected)
    found.backward()
    assert found.dtype == torch.float64
    assert found.item() == pytest.approx(twin.value(weight, 0.013, kind, groups), rel=1e-12)
    slopes = selected.all[0].parameter.grad
    assert torch.allclose(slopes, twin.gradient(weight, 0.013, kind, groups), rtol=1e-12, atol=1e-15)
    assert not slopes[:, 1].any()


@pytest.mark.parametrize("shape", [(3, 4, 2, 2), (3, 5)], ids=str)
def test_groups_of_zeros_have_no_gradient(shape: tuple[int, ...]) -> None:
    for group, takes in SHAPES.items():
        if len(takes) == len(shape):
            selected = chosen(torch.zeros(shape, dtype=torch.float64))
            of("lasso", 1.0, group).penalty(selected).backward()
            assert not selected.all[0].parameter.grad.any()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_terms_add_up_in_single_precision_at_least(dtype: torch.dtype) -> None:
    selected = chosen(torch.full((16, 4096), 0.5, dtype=dtype))
    for regularizer, expected in [(of("l1", 1.0), 32768.0), (of("lasso", 1.0, "Rows"), 512.0)]:
        found = regularizer.penalty(selected)
        assert (found.dtype, found.item()) == (torch.float32, expected)


def test_parameters_add_up() -> None:
    model = nn.Sequential(holding(MATRIX), holding(MATRIX.t()))
    first, second = targets(model)
    regularizer = GroupLassoRegularizer({"a": (0.5, "Rows"), "b": (0.25, "Cols")})
    assert regularizer.penalty(Chosen({"a": first, "b": second})).item() == pytest.approx(12.75, rel=1e-12)


def test_strength_0_leaves_no_gradient_at_all() -> None:
    selected = chosen(MATRIX)
    found = of("lasso", 0.0, "Rows").penalty(selected)
    assert found.item() == 0.0 and not found.requires_grad


class TestThresholds:
    @pytest.mark.parametrize(
        ("kind", "groups", "weight"),
        [
            ("l1", "", weights_of(3, 5)),
            ("l1", "", weights_of(3, 4, 2, 2)),
            *(("lasso", group, weights_of(*shape)) for group, shape in SHAPES.items() if group != "4D"),
            ("lasso", "Channels", weights_of(3, 5)),
            ("variance", "Channels", weights_of(3, 4, 2, 2)),
        ],
    )
    @pytest.mark.parametrize("criterion", ["Max", "Mean_Abs"])
    def test_masks_equal_the_twin(self, kind: str, groups: str, weight: Tensor, criterion: str) -> None:
        for strength in (0.0, 0.3, 0.4, 0.5, 1.0):
            found = mask(of(kind, strength, groups, criterion), weight)
            assert torch.equal(found, twin.above(weight, strength, groups, criterion))

    @pytest.mark.parametrize(
        ("groups", "weight", "criterion", "values"),
        [
            # what the groups are held against the threshold with, one after the other
            ("Rows", MATRIX, "Mean_Abs", [7 / 3, 4.0]),
            ("Rows", MATRIX, "Max", [4.0, 12.0]),
            ("Cols", MATRIX, "Mean_Abs", [1.5, 6.0, 2.0]),
            ("Cols", MATRIX, "Max", [3.0, 12.0, 4.0]),
            ("3D", FILTERS, "Mean_Abs", [4.75, 1.25]),
            ("3D", FILTERS, "Max", [12.0, 5.0]),
            ("Channels", FILTERS, "Mean_Abs", [1.75, 4.25]),
            ("Channels", FILTERS, "Max", [4.0, 12.0]),
            ("2D", FILTERS, "Mean_Abs", [3.5, 6.0, 0.0, 2.5]),
            ("2D", FILTERS, "Max", [4.0, 12.0, 0.0, 5.0]),
        ],
    )
    def test_a_group_stays_above_the_strength_and_goes_at_it(
        self, groups: str, weight: Tensor, criterion: str, values: list[float]
    ) -> None:
        for limit in values:
            kept = [value > limit for value in values]
            places = twin.grouped(weight, twin.GROUPS[groups])
            assert torch.equal(mask(of("lasso", limit, groups, criterion), weight), twin.mask_of(weight, places, kept))

    def test_without_a_criterion_there_is_none(self) -> None:
        assert not of("lasso", 0.1, "Rows").thresholds
        assert of("lasso", 0.1, "Rows", "Max").thresholds

    @pytest.mark.parametrize("regularizer", [of("l1", 0.1, criterion="Max"), of("lasso", 0.1, "Rows", "Mean_Abs")])
    def test_nan_is_reported(self, regularizer: Regularizer) -> None:
        weight = MATRIX.clone()
        weight[0, 1] = float("nan")
        with pytest.raises(ScoreError, match="weight holds NaN"):
            mask(regularizer, weight)

    def test_infinite_weights_stay(self) -> None:
        weight = MATRIX.clone()
        weight[0, 1] = float("inf")
        assert mask(of("lasso", 3.0, "Rows", "Mean_Abs"), weight).all()


def test_channels_of_one_length_are_an_error() -> None:
    with pytest.raises(RunError, match="all channels of weight are of one length"):
        penalty(of("variance", 1.0, "Channels"), torch.ones(2, 3, 1, 1))


@given(st.lists(st.floats(-100, 100), min_size=12, max_size=12), st.floats(0.001, 10))
def test_more_strength_costs_more_and_keeps_less(numbers: list[float], strength: float) -> None:
    weight = torch.tensor(numbers, dtype=torch.float64).view(3, 4)
    for kind, groups in [("l1", ""), ("lasso", "Rows"), ("lasso", "Cols"), ("lasso", "Channels")]:
        less, more = (of(kind, factor * strength, groups, "Max") for factor in (1, 2))
        assert 2 * penalty(less, weight) == pytest.approx(penalty(more, weight), rel=1e-12)
        assert not (mask(more, weight) & ~mask(less, weight)).any()
