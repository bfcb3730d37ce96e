"""Scopes that are wrong in one way each, and the law that catches each of them."""

from __future__ import annotations

import math

import pytest
import torch

from prunus.scopes import ErdosRenyi, Global, PerLayer, Pool, Scope
from tests.laws import scopes as laws

SCORES = [
    torch.tensor([3.0, 1.0, 2.0, 2.0, 2.0, 0.5, 4.0]),
    torch.tensor([2.0]),
    torch.linspace(0, 3, 92),
]


class Rounds(Global):
    def _pools(self, sizes, sparsity, shapes):
        return [Pool(tuple(range(len(sizes))), sum(sizes) - round(sparsity * sum(sizes) + 0.5))]


class OneTooFew(Global):
    def _pools(self, sizes, sparsity, shapes):
        pruned = max(0, math.floor(sparsity * sum(sizes)) - 1)
        return [Pool(tuple(range(len(sizes))), sum(sizes) - pruned)]


class FloorsWithoutTolerance(Global):
    def _pools(self, sizes, sparsity, shapes):
        return [Pool(tuple(range(len(sizes))), sum(sizes) - math.floor(sparsity * sum(sizes)))]


class ForgetsTheLast(PerLayer):
    def _pools(self, sizes, sparsity, shapes):
        return super()._pools(sizes[:-1], sparsity, shapes)


class Overlaps(PerLayer):
    def _pools(self, sizes, sparsity, shapes):
        return super()._pools(sizes, sparsity, shapes) + super()._pools(sizes[:1], sparsity, shapes)


class Threshold(Global):
    """Keep what is above the k-th smallest score, as Distiller does: all ties go."""

    def select(self, scores, sparsity, *, among=None, shapes=None):
        everything = torch.cat([score.reshape(-1) for score in scores])
        pruned = math.floor(sparsity * len(everything))
        if pruned == 0:
            return [torch.ones_like(score, dtype=torch.bool) for score in scores]
        limit = everything.sort().values[pruned - 1]
        return [score > limit for score in scores]


class LowerKeeps(Global):
    def select(self, scores, sparsity, *, among=None, shapes=None):
        return super().select([-score for score in scores], sparsity, among=among)


class LaterTiesFirst(Global):
    def select(self, scores, sparsity, *, among=None, shapes=None):
        return [mask.flip(0) for mask in super().select([score.flip(0) for score in scores], sparsity)]


class ForgetsTheDead(Global):
    def select(self, scores, sparsity, *, among=None, shapes=None):
        return super().select(scores, sparsity)


class FillsUpWithTheDead(Global):
    def select(self, scores, sparsity, *, among=None, shapes=None):
        return super().select([score.nan_to_num(-1.0) for score in scores], sparsity)


class CountsOnlyTheLiving(Global):
    def select(self, scores, sparsity, *, among=None, shapes=None):
        if among is None:
            return super().select(scores, sparsity)
        living = [score[mask] for score, mask in zip(scores, among, strict=True)]
        found = super().select(living, sparsity)
        return [mask.masked_scatter(mask, kept) for mask, kept in zip(among, found, strict=True)]


class Draws(Global):
    def select(self, scores, sparsity, *, among=None, shapes=None):
        return super().select([torch.rand_like(score) for score in scores], sparsity, among=among)


class FavoursTheFirst(Global):
    def select(self, scores, sparsity, *, among=None, shapes=None):
        return super().select([score / (i + 1) for i, score in enumerate(scores)], sparsity, among=among)


class Repairs(Scope):
    def _pools(self, sizes, sparsity, shapes):
        return []

    def select(self, scores, sparsity, *, among=None, shapes=None):
        return [torch.ones_like(score, dtype=torch.bool) for score in scores]


PLANTED = [
    (Rounds(), laws.law_budgets_add_up),
    (OneTooFew(), laws.law_budgets_add_up),
    (FloorsWithoutTolerance(), laws.law_budgets_add_up),
    (ForgetsTheLast(), laws.law_every_tensor_is_in_exactly_one_pool),
    (Overlaps(), laws.law_every_tensor_is_in_exactly_one_pool),
    (Threshold(), laws.law_keeps_exactly_what_was_allotted),
    (Threshold(), laws.law_equals_its_slow_twin),
    (LowerKeeps(), laws.law_equals_its_slow_twin),
    (LaterTiesFirst(), laws.law_ties_go_to_the_earlier_place),
    (ForgetsTheDead(), laws.law_masks_only_tighten),
    (FillsUpWithTheDead(), laws.law_the_living_all_stay_when_more_is_dead_than_asked),
    (CountsOnlyTheLiving(), laws.law_equals_its_slow_twin),
    (Draws(), laws.law_asking_twice_gives_the_same),
    (Draws(), laws.law_the_more_is_asked_the_less_is_kept),
    (FavoursTheFirst(), laws.law_order_of_tensors_matters_only_in_ties),
    (Repairs(), laws.law_zero_keeps_all_and_one_keeps_none),
]


@pytest.mark.parametrize(("scope", "law"), PLANTED, ids=[type(planted).__name__ for planted, _ in PLANTED])
def test_the_law_catches_it(scope, law):
    with pytest.raises(AssertionError):
        law(scope, SCORES)


def test_a_missing_refusal_is_caught():
    with pytest.raises(pytest.fail.Exception):
        laws.law_wrong_questions_are_refused(Repairs(), SCORES)


class LargestRemainder(ErdosRenyi):
    """Round down and hand the rest to the largest remainders: a tensor may lose a weight when more are kept."""

    def _pools(self, sizes, sparsity, shapes):
        weights = [sum(shape) for shape in shapes]
        left = sum(sizes) - math.floor(sparsity * sum(sizes) + 1e-9)
        quotas = [left * weight / sum(weights) for weight in weights]
        counts = [math.floor(quota) for quota in quotas]
        best = sorted(range(len(sizes)), key=lambda i: (counts[i] - quotas[i], i))
        return [Pool((i,), counts[i] + (i in best[: left - sum(counts)])) for i in range(len(sizes))]


class TakesAnyShapes(ErdosRenyi):
    def allot(self, sizes, sparsity, *, shapes=None):
        return PerLayer().allot(sizes, sparsity)


def test_a_paradox_of_apportionment_is_caught():
    with pytest.raises(AssertionError):
        laws.law_no_tensor_gains_when_more_is_asked(LargestRemainder(), [torch.ones(6), torch.ones(6), torch.ones(2)])


def test_missing_shapes_must_be_refused():
    with pytest.raises(pytest.fail.Exception):
        laws.law_wrong_questions_are_refused(TakesAnyShapes(), SCORES)
