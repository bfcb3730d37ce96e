"""Criteria that are wrong in one way each, and the law that catches each of them."""

from __future__ import annotations

from typing import ClassVar

import pytest
import torch

from prunus.criteria import LAMP, Criterion, Gradient, Magnitude, Random, Taylor
from prunus.errors import ScoreError
from prunus.structures import Filter
from tests.laws import criteria as laws
from tests.twins.criteria import TWINS

WEIGHT = torch.randn(8, 4, 3, 3, generator=torch.Generator().manual_seed(0)).mul(3)
SCALE = {"value": 1.0}


class LowerKeeps(Magnitude):
    def _rate(self, groups, gradient, generator):
        return -super()._rate(groups, gradient, generator)


class Signed(Magnitude):
    def _rate(self, groups, gradient, generator):
        return groups.sum(dim=1)


class ScoresInHalf(Magnitude):
    def score(self, weight, structure, *, gradient=None, generator=None):
        return structure.split(weight).abs().sum(dim=1)


class AlwaysFloat(Magnitude):
    def _rate(self, groups, gradient, generator):
        return groups.float().abs().sum(dim=1)


class MemoryOrder(Magnitude):
    def score(self, weight, structure, *, gradient=None, generator=None):
        flat = weight.as_strided((weight.numel(),), (1,)).reshape(structure.groups(weight.shape), -1)
        return self._rate(flat, None, None)


class OneTooMany(Magnitude):
    def _rate(self, groups, gradient, generator):
        return torch.cat([groups.new_zeros(1), super()._rate(groups, gradient, generator)])


class DividesByStd(Magnitude):
    def _rate(self, groups, gradient, generator):
        return groups.abs().mean(dim=1) / (groups - groups).std(dim=1)


class KeepsTheGraph(Magnitude):
    def score(self, weight, structure, *, gradient=None, generator=None):
        return structure.split(weight).abs().sum(dim=1)


class WritesBack(Magnitude):
    def _rate(self, groups, gradient, generator):
        return groups.abs_().sum(dim=1)


class GlobalDraw(Random):
    def _rate(self, groups, gradient, generator):
        return torch.rand(len(groups))


class HiddenDraw(Magnitude):
    def _rate(self, groups, gradient, generator):
        return torch.rand(len(groups))


class NotRandom(Random):
    def _rate(self, groups, gradient, generator):
        return torch.arange(float(len(groups)))


class FavoursTheFirst(Magnitude):
    def _rate(self, groups, gradient, generator):
        return super()._rate(groups, gradient, generator) / torch.arange(1, len(groups) + 1)


class ScaledByTheLargest(Magnitude):
    def _rate(self, groups, gradient, generator):
        lengths = super()._rate(groups, gradient, generator)
        return lengths / lengths.max()


class GradientOfLivingWeights(Gradient):
    def _rate(self, groups, gradient, generator):
        return super()._rate(groups, gradient * (groups != 0), generator)


PLANTED = [
    (LowerKeeps(), laws.law_zero_groups_never_outscore_the_others),
    (Signed(), laws.law_zero_groups_never_outscore_the_others),
    (ScoresInHalf(), laws.law_half_precision_is_scored_in_float32),
    (AlwaysFloat(), laws.law_64_bit_stays_64_bit),
    (MemoryOrder(), laws.law_memory_layout_changes_nothing),
    (OneTooMany(), laws.law_one_finite_score_a_group),
    (DividesByStd(), laws.law_one_finite_score_a_group),
    (KeepsTheGraph(), laws.law_looks_but_does_not_touch),
    (WritesBack(), laws.law_looks_but_does_not_touch),
    (GlobalDraw(), laws.law_looks_but_does_not_touch),
    (GlobalDraw(), laws.law_same_inputs_same_scores),
    (HiddenDraw(), laws.law_same_inputs_same_scores),
    (NotRandom(), laws.law_random_means_that_the_seed_decides),
    (FavoursTheFirst(), laws.law_groups_are_scored_alike_wherever_they_lie),
    (ScaledByTheLargest(), laws.law_local_scores_do_not_look_at_other_outputs),
    (GradientOfLivingWeights(), laws.law_weights_count_only_where_declared),
]


@pytest.mark.parametrize(("criterion", "law"), PLANTED, ids=[type(planted).__name__ for planted, _ in PLANTED])
def test_the_law_catches_it(criterion, law):
    with pytest.raises(AssertionError):
        law(criterion, WEIGHT.clone(), Filter())


class NotSquared(LAMP):
    def _rate(self, groups, gradient, generator):
        return super()._rate(groups.abs().sqrt(), gradient, generator)


class LeavesItselfOut(LAMP):
    def _rate(self, groups, gradient, generator):
        scores = super()._rate(groups, gradient, generator)
        return scores / (1 - scores).clamp_min(1e-3)


class TiesTheOtherWay(LAMP):
    def _rate(self, groups, gradient, generator):
        return super()._rate(groups.flip(0), gradient, generator).flip(0)


class Joint(Taylor):
    def _rate(self, groups, gradient, generator):
        return (groups * gradient).sum(dim=1).abs()


class SignedGradient(Gradient):
    def _rate(self, groups, gradient, generator):
        return gradient.sum(dim=1)


@pytest.mark.parametrize(
    ("wrong", "name"),
    [
        (NotSquared(), "lamp"),
        (LeavesItselfOut(), "lamp"),
        (TiesTheOtherWay(), "lamp"),
        (Joint(), "taylor"),
        (SignedGradient(), "gradient"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_twin_catches_it(wrong, name):
    tied = torch.tensor([[1.0, 2.0], [2.0, 1.0], [0.5, 0.0], [3.0, 3.0]])
    with pytest.raises(AssertionError):
        laws.law_equals_its_slow_twin(wrong, tied, Filter(), TWINS[name])


class Careless(Criterion):
    random: ClassVar[bool] = True
    needs_gradient: ClassVar[bool] = True

    def score(self, weight, structure, *, gradient=None, generator=None):
        return structure.split(weight).float().sum(dim=1)

    def _rate(self, groups, gradient, generator):
        raise NotImplementedError


@pytest.mark.parametrize(
    "law", [laws.law_a_missing_need_is_refused_with_the_way_out, laws.law_whole_numbers_are_refused]
)
def test_a_missing_refusal_is_caught(law):
    with pytest.raises(pytest.fail.Exception):
        law(Careless(), WEIGHT.clone(), Filter())


class Sensitive(Criterion):
    needs_gradient: ClassVar[bool] = True

    def _rate(self, groups, gradient, generator):
        return (groups * gradient).abs().sum(dim=1)


@pytest.mark.parametrize("law", laws.LAWS, ids=lambda law: law.__name__)
def test_the_laws_let_an_honest_gradient_criterion_pass(law):
    assert law(Sensitive(), WEIGHT.clone(), Filter()) is None


def test_a_gradient_of_another_shape_is_refused():
    with pytest.raises(ScoreError, match=r"gradient= of shape \(8, 4, 3, 3\), got shape \(8, 36\)"):
        Sensitive().score(WEIGHT, Filter(), gradient=WEIGHT.flatten(1))
