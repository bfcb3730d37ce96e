"""Every steering, with every Bregman optimizer that keeps a dual."""

import pytest
import torch

from prunus.optim import AdaBreg, LinBreg
from prunus.regularizers import GroupLasso, RegL1, RegL1L2, RegL1L2Conv, RegL1Pos
from prunus.schedules import Linear, OneShot
from prunus.steering import STEERING, AdditiveLambda, LambdaScheduler, SparsityBudget
from prunus.structures import Channel, Element, Kernel, Row
from tests.laws import steering as laws

OPTIMIZERS = {
    "adabreg": lambda reg, **settings: lambda weights: AdaBreg(weights, lr=0.02, reg=reg(0.02), **settings),
    "linbreg": lambda reg, **settings: lambda weights: LinBreg(weights, lr=0.1, reg=reg(0.02), **settings),
    "momentum": lambda reg, **settings: (
        lambda weights: LinBreg(weights, lr=0.1, reg=reg(0.02), momentum=0.9, **settings)
    ),
}
MAKERS = {
    "additive": lambda: AdditiveLambda(0.02, target_sparsity=0.75, lambda_update_rate=0.01, update_frequency=3),
    "budget": lambda: SparsityBudget(target=0.75, period=7),
    "feedback": lambda: LambdaScheduler(initial_lambda=0.02, target_sparsity=0.75),
}


def problem(shapes, steps=60, seed=0):
    generator = torch.Generator().manual_seed(seed)
    weights = [torch.randn(shape, generator=generator).mul_(0.3).requires_grad_() for shape in shapes]
    gradients = [[torch.randn(shape, generator=generator) for shape in shapes] for _ in range(steps)]
    return weights, gradients


def test_every_member_has_a_maker():
    assert sorted(MAKERS) == sorted(STEERING)


@pytest.mark.parametrize("kind", OPTIMIZERS)
@pytest.mark.parametrize("name", MAKERS)
class TestEverySteering:
    def test_state_is_plain_and_safe(self, name, kind):
        laws.law_state_is_plain_and_safe(MAKERS[name], OPTIMIZERS[kind](RegL1), *problem([(6, 5)], steps=10))

    @pytest.mark.parametrize("stop", [1, 30, 59])
    def test_resume_equals_uninterrupted(self, name, kind, stop):
        laws.law_resume_equals_uninterrupted(MAKERS[name], OPTIMIZERS[kind](RegL1), *problem([(6, 5), (4,)]), stop=stop)


@pytest.mark.parametrize("kind", OPTIMIZERS)
@pytest.mark.parametrize("target", [0.0, 0.29, 0.9, 1.0])
@pytest.mark.parametrize("room", [0.0, 0.3])
def test_a_budget_of_weights_is_kept_after_every_step(kind, target, room):
    budget = SparsityBudget(target=target, room=room, period=5)
    problem_ = problem([(10, 7), (3, 10), (0, 4)])
    laws.law_budget_is_never_exceeded_and_met_at_the_end(budget, OPTIMIZERS[kind](RegL1), *problem_, laws.elements)


@pytest.mark.parametrize("kind", OPTIMIZERS)
@pytest.mark.parametrize(
    ("reg", "structure", "shapes"),
    [
        (RegL1L2, Row(), [(10, 4), (7, 10)]),
        (RegL1L2Conv, Kernel(), [(4, 3, 3, 3), (2, 4, 3, 3), (3, 2, 2, 2, 2)]),
        (lambda lamda: GroupLasso(lamda, structure=Channel()), Channel(), [(4, 8, 3, 3), (6, 9)]),
        (RegL1Pos, Element(), [(8, 8)]),
    ],
)
def test_a_budget_of_groups_is_kept_after_every_step(kind, reg, structure, shapes):
    members = laws.groups_of(structure)
    budget = SparsityBudget(target=0.5, period=5, schedule=Linear(0.5))
    laws.law_budget_is_never_exceeded_and_met_at_the_end(budget, OPTIMIZERS[kind](reg), *problem(shapes), members)


@pytest.mark.parametrize("schedule", [OneShot(0.9), Linear(0.9, initial=0.5)])
def test_any_rising_schedule_serves(schedule):
    budget = SparsityBudget(target=0.9, schedule=schedule, ramp=1.0, period=1)
    make = OPTIMIZERS["adabreg"](RegL1)
    laws.law_budget_is_never_exceeded_and_met_at_the_end(budget, make, *problem([(10, 10)]), laws.elements)


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_feedback_moves_lambda_towards_the_target_and_stays_in_its_bounds(kind):
    steering = LambdaScheduler(0.01, target_sparsity=0.6, acceleration_factor=1.0, min_lambda=0.005, max_lambda=0.05)
    laws.law_feedback_pushes_towards_the_target(steering, OPTIMIZERS[kind](RegL1), *problem([(9, 9)]))


def test_channels_last_and_low_precision_weights_are_held_too():
    weight = torch.randn(4, 8, 3, 3).to(memory_format=torch.channels_last).to(torch.bfloat16).requires_grad_()
    gradients = [[torch.randn(4, 8, 3, 3).to(torch.bfloat16)] for _ in range(20)]
    for reg, members in ((RegL1, laws.elements), (RegL1L2Conv, laws.groups_of(Kernel()))):
        budget = SparsityBudget(target=0.75, period=3)
        make = OPTIMIZERS["adabreg"](reg)
        laws.law_budget_is_never_exceeded_and_met_at_the_end(budget, make, [weight], gradients, members)
        assert weight.is_contiguous(memory_format=torch.channels_last)
