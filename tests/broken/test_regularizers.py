"""Planted wrong regularizers: every law catches its own."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, field

import pytest
import torch

from prunus.regularizers import GroupLasso, RegL1, RegL1L2, RegL1L2Conv, RegNone, RegSoftBernoulli
from prunus.structures import Row
from tests.laws import regularizers as laws

X = torch.tensor([[3.0, -4.0, 0.5], [0.0, 0.0, 0.0], [0.2, -0.1, 0.1]], dtype=torch.float64)
IMAGE = torch.linspace(-2, 2, 36, dtype=torch.float64).reshape(2, 2, 3, 3)
DICE = torch.Generator().manual_seed(0)


class ForgetsTheRootOfTheSize(RegL1L2):
    def price(self, shape):
        return 1.0


class SquaresItsStrength(RegL1):
    """The defect of the reference's l1_l1_l2: lamda enters twice."""

    def prox(self, x, delta=1.0):
        return super().prox(x, delta * self.lamda)


class NormsOverTheSecondDimension(RegL1L2Conv):
    """The defect of a published RegL1L2: on 4-D weights it groups along dim 1."""

    def __call__(self, x):
        return self.lamda * math.sqrt(x.shape[-1]) * x.norm(dim=1).sum()


class ValueWithANaNGradientAtZero(RegL1L2):
    def __call__(self, x):
        return self.radius(x.shape) * x.square().sum(dim=1).sqrt().sum()


class DividesByTheZeroNorm(RegL1L2):
    def prox(self, x, delta=1.0):
        norms = x.norm(dim=1, keepdim=True)
        return x * (norms - self.threshold(x.shape, delta)).clamp_min(0.0) / norms


class SquaresTheStrengthOfItsSubGradient(RegL1):
    """The other half of the defect of the reference's l1_l1_l2."""

    def sub_grad(self, v):
        return self.lamda**2 * v.sign()


class SubGradientOfTheSquare(RegL1):
    def sub_grad(self, v):
        return self.lamda * v


class HardThreshold(RegL1):
    def prox(self, x, delta=1.0):
        return torch.where(x.abs() > self.threshold(x.shape, delta), x, 0.0)


class IgnoresDelta(RegL1):
    def prox(self, x, delta=1.0):
        return super().prox(x, 1.0)


class ShrinksWithoutStrength(RegL1):
    def prox(self, x, delta=1.0):
        return super().prox(x, delta) * 0.999


class OptimisticRadius(RegL1):
    def radius(self, shape):
        return 2 * self.lamda

    def threshold(self, shape, delta):
        return delta * self.lamda


class StrengthFarBeyondTheLast(RegL1):
    def lambda_max(self, x, delta=1.0):
        return 2 * super().lambda_max(x, delta)


class LooksAtTheLargestEntry(RegL1):
    def _largest_norm(self, x):
        return float(x.max())


class PointsToNewStorage(RegL1):
    def prox_(self, x, delta=1.0):
        x.data = self.prox(x, delta)
        return x


class PromotesHalf(RegL1):
    def prox(self, x, delta=1.0):
        return super().prox(x.float(), delta)


class LeavesNegativeZeros(RegL1):
    def prox(self, x, delta=1.0):
        return torch.nn.functional.softshrink(x, self.threshold(x.shape, delta))


class SwallowsNaN(RegL1):
    def prox(self, x, delta=1.0):
        return super().prox(x.nan_to_num(), delta)


class FailsOnNothing(RegL1):
    def lambda_max(self, x, delta=1.0):
        return float(x.abs().max()) / delta


class KeepsASettingToItself(GroupLasso):
    def settings(self):
        return {"name": self.name, "lamda": self.lamda}


class AcceptsAnyStrength(RegL1):
    def __setattr__(self, name, value):
        object.__setattr__(self, name, value)


class AcceptsAnyDelta(RegNone):
    def threshold(self, shape, delta):
        return 0.0


class RollsTheGlobalDice(RegL1):
    def prox(self, x, delta=1.0):
        return super().prox(x + torch.randn_like(x), delta)


class ForgetsItsState(RegSoftBernoulli):
    def load_state_dict(self, state):
        pass


@dataclass
class SharesWhatItCopies(RegL1):
    inner: list = field(default_factory=lambda: [1.0])

    def __deepcopy__(self, memo):
        return self


def caught(law, reg, *arguments):
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        law(reg, *arguments)


@pytest.mark.parametrize(
    ("law", "reg", "arguments"),
    [
        (laws.law_value_is_that_of_the_twin, ForgetsTheRootOfTheSize(0.3), (X,)),
        (laws.law_value_is_that_of_the_twin, NormsOverTheSecondDimension(0.3), (IMAGE,)),
        (laws.law_gradient_of_the_value_is_sub_grad, ValueWithANaNGradientAtZero(0.3), (X,)),
        (laws.law_gradient_of_the_value_is_sub_grad, SubGradientOfTheSquare(0.3), (X,)),
        (laws.law_sub_grad_is_proportional_to_lamda, SquaresTheStrengthOfItsSubGradient(0.3), (X,)),
        (laws.law_sub_grad_supports_the_value, SubGradientOfTheSquare(0.3), (X, 2 * X)),
        (laws.law_prox_is_the_numerical_minimiser, SquaresItsStrength(0.3), (X, 1.0)),
        (laws.law_prox_is_the_numerical_minimiser, DividesByTheZeroNorm(0.3), (X, 1.0)),
        (laws.law_prox_is_the_numerical_minimiser, ForgetsTheRootOfTheSize(0.3), (X, 1.0)),
        (laws.law_prox_beats_every_neighbour, HardThreshold(0.3), (X, 1.0, DICE)),
        (laws.law_prox_and_dual_projection_add_up, IgnoresDelta(0.3), (X, 0.5)),
        (laws.law_prox_is_firmly_non_expansive, HardThreshold(0.3), (X, X + 0.15, 1.0)),
        (laws.law_no_strength_or_no_step_is_the_identity, ShrinksWithoutStrength(0.3), (X,)),
        (laws.law_dual_start_leaves_the_weight_where_it_is, IgnoresDelta(0.3), (X, 0.5)),
        (laws.law_radius_is_where_groups_die, OptimisticRadius(0.3), (X,)),
        (laws.law_lambda_max_is_the_smallest_that_leaves_nothing, StrengthFarBeyondTheLast(0.3), (X, 1.0)),
        (laws.law_lambda_max_is_the_smallest_that_leaves_nothing, LooksAtTheLargestEntry(0.3), (-X.abs(), 1.0)),
        (laws.law_in_place_twin_is_equal_and_keeps_the_storage, PointsToNewStorage(0.3), (X, 1.0)),
        (laws.law_dtype_is_kept, PromotesHalf(0.3), (X, 1.0)),
        (laws.law_dtype_is_kept, LeavesNegativeZeros(0.3), (X, 1.0)),
        (laws.law_nan_is_never_hidden, SwallowsNaN(0.3), (X, 1.0)),
        (laws.law_settings_rebuild_it, KeepsASettingToItself(0.3, Row()), ()),
        (laws.law_settings_rebuild_it, SharesWhatItCopies(0.3), ()),
        (laws.law_strength_is_checked_on_every_assignment, AcceptsAnyStrength(0.3), ()),
        (laws.law_wrong_delta_is_refused, AcceptsAnyDelta(0.3), (X,)),
        (laws.law_random_only_where_declared, RollsTheGlobalDice(0.3), (X, 1.0)),
        (laws.law_state_resumes_where_it_stopped, ForgetsItsState(0.3, probability=0.5), (X, 1.0)),
    ],
    ids=lambda part: type(part).__name__ if hasattr(part, "lamda") else getattr(part, "__name__", ""),
)
def test_planted(law, reg, arguments):
    caught(law, copy.copy(reg), *arguments)


def test_empty_law_catches_a_maximum_of_nothing():
    with pytest.raises(RuntimeError):
        laws.law_empty_tensors_are_fine(FailsOnNothing(0.3), torch.zeros(0, 3))
