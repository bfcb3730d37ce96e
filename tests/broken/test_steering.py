"""Planted wrong steerings: each must fail its law."""

from functools import partial

import pytest
import torch

from prunus.criteria import Magnitude
from prunus.regularizers import GroupLasso, RegL1
from prunus.schedules import Linear
from prunus.steering import LambdaScheduler, QuantileLambda, SparsityBudget, _member, _survivors
from prunus.steering.quantile import quantile
from prunus.structures import Filter
from tests.laws import steering as laws
from tests.laws.test_steering import OPTIMIZERS, problem

MAKE = OPTIMIZERS["adabreg"](RegL1)


class CountsOnlyAtRefresh(SparsityBudget):
    def after_step(self, optimizer, step, progress):
        if (step + 1) % self.period == 0:
            super().after_step(optimizer, step, progress)


class NeverFills(SparsityBudget):
    def after_step(self, optimizer, step, progress):
        super().after_step(optimizer, step, min(progress, self.room_until - 1e-6))


class KeepsADrawToItself(SparsityBudget):
    def after_step(self, optimizer, step, progress):
        self.calls = getattr(self, "calls", 0) + 1
        super().after_step(optimizer, self.calls - 1, progress)


class WrongWay(LambdaScheduler):
    def step(self, current_sparsity, last_sparsity=None):
        return super().step(1.0 - current_sparsity, last_sparsity)


class Unbounded(LambdaScheduler):
    def step(self, current_sparsity, last_sparsity=None):
        self.lambda_value *= 10.0
        return self.lambda_value


class OnlySetsLambda(QuantileLambda):
    def after_step(self, optimizer, step, progress):
        before = [member.parameter.clone() for member in optimizer.regularized()]
        super().after_step(optimizer, step, progress)
        for member, weight in zip(optimizer.regularized(), before, strict=True):
            member.parameter.data.copy_(weight)


class ForgetsItsReading(LambdaScheduler):
    optional = tuple(name for name in LambdaScheduler.optional if name != "reading_before")


class Dithers(LambdaScheduler):
    def step(self, current_sparsity, last_sparsity=None):
        self.lambda_value *= 1.0 + 1e-3 * torch.rand(()).item()
        return super().step(current_sparsity, last_sparsity)


class Restless(LambdaScheduler):
    def step(self, current_sparsity, last_sparsity=None):
        return super().step(max(0.0, current_sparsity - 1e-3), last_sparsity)


class Backwards(SparsityBudget):
    def sparsity_at(self, progress):
        return 1.0 - super().sparsity_at(progress)


def strong_lambda(weights):
    """λ alone leaves fewer survivors than asked, so only filling meets the target."""
    optimizer = MAKE(weights)
    optimizer.param_groups[0]["reg"].lamda = 5.0
    return optimizer


def test_a_budget_that_looks_only_now_and_then_is_caught():
    with pytest.raises(AssertionError):
        laws.law_budget_is_never_exceeded_and_met_at_the_end(
            CountsOnlyAtRefresh(target=0.9, period=5), MAKE, *problem([(10, 10)]), laws.elements
        )


def test_a_budget_that_never_fills_is_caught_and_ours_fills():
    weights, gradients = problem([(10, 10)])
    with torch.no_grad():
        weights[0].mul_(1e-3)
    for kind, caught in ((NeverFills, True), (SparsityBudget, False)):
        fresh = [weight.detach().clone().requires_grad_() for weight in weights]
        arguments = (kind(target=0.5, period=5), strong_lambda, fresh, gradients, laws.elements)
        if caught:
            with pytest.raises(AssertionError):
                laws.law_budget_is_never_exceeded_and_met_at_the_end(*arguments)
        else:
            laws.law_budget_is_never_exceeded_and_met_at_the_end(*arguments)


def test_a_step_counter_that_is_not_saved_is_caught():
    with pytest.raises(AssertionError):
        laws.law_resume_equals_uninterrupted(
            lambda: KeepsADrawToItself(target=0.75, period=7, room=0.9), MAKE, *problem([(8, 8)]), stop=10
        )


@pytest.mark.parametrize("kind", [WrongWay, Unbounded])
def test_wrong_feedback_is_caught(kind):
    steering = kind(0.01, target_sparsity=0.6, acceleration_factor=1.0, min_lambda=0.005, max_lambda=0.05)
    with pytest.raises(AssertionError):
        laws.law_feedback_pushes_towards_the_target(steering, MAKE, *problem([(9, 9)]))


def test_a_quantile_that_only_sets_lambda_is_caught():
    with pytest.raises(AssertionError):
        laws.law_exactly_as_many_live_as_asked(OnlySetsLambda(0.75), MAKE, *problem([(10, 10)]), laws.elements)


def test_a_memory_that_is_not_saved_is_caught():
    with pytest.raises(AssertionError):
        make = partial(ForgetsItsReading, 0.02, 0.75, anti_windup=True)
        laws.law_resume_equals_uninterrupted(make, MAKE, *problem([(8, 8)]), stop=10)


@pytest.mark.parametrize(
    ("module", "name", "wrong"),
    [
        (_member, "BUMP", 2 * _member.BUMP),
        (_member, "SIZE", Magnitude(p=2.0)),  # long groups outlive short ones
        (_member, "shortened", lambda duals, length: duals),  # the dropped come back at the next step
        (_survivors, "nearness", _member.dual_lengths),  # long groups return before short ones
    ],
)
def test_a_budget_that_chooses_or_moves_other_groups_is_caught(module, name, wrong, monkeypatch):
    monkeypatch.setattr(module, name, wrong)
    budget = SparsityBudget(0.3, Linear(0.3, initial=0.8), ramp=0.4, room_until=0.4, period=5)
    weights, gradients = problem([(6, 2, 1), (4, 10, 5, 5)], steps=40)
    with pytest.raises(AssertionError):
        laws.law_budget_follows_its_twin(budget, OPTIMIZERS["linbreg"](GroupLasso), weights, gradients, Filter())


def test_a_quantile_stronger_than_needed_is_caught(monkeypatch):
    monkeypatch.setattr("prunus.steering.quantile.quantile", lambda pool, asked: 1.001 * quantile(pool, asked))
    with pytest.raises(AssertionError):
        laws.law_exactly_as_many_live_as_asked(QuantileLambda(0.75), MAKE, *problem([(10, 10)]), laws.elements)


def test_a_draw_is_caught():
    with pytest.raises(AssertionError):
        laws.law_a_run_repeats_itself(partial(Dithers, 0.02, 0.75), MAKE, *problem([(8, 8)], steps=10))


def test_a_lambda_out_of_bounds_is_caught():
    with pytest.raises(AssertionError):
        make = partial(Unbounded, 0.02, 0.75, max_lambda=0.1)
        laws.law_lambda_stays_in_its_bounds(make, MAKE, *problem([(8, 8)], steps=10))


def test_a_steering_that_moves_at_its_target_is_caught():
    with pytest.raises(AssertionError):
        laws.law_rests_at_its_target(lambda target, lamda: Restless(lamda, target), MAKE, *problem([(8, 8)]))


def test_a_budget_that_answers_backwards_is_caught():
    with pytest.raises(AssertionError):
        make = partial(Backwards, ramp=0.1, room=0.0)
        laws.law_higher_targets_leave_no_more_alive(make, MAKE, *problem([(8, 8)]), (0.2, 0.8))


def test_an_error_that_does_not_name_its_setting_is_caught():
    with pytest.raises(AssertionError):
        laws.law_one_clear_error(lambda **settings: SparsityBudget(target=2.0), {"period": 0}, "period")
