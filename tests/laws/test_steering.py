"""Every steering, with every Bregman optimizer that keeps a dual."""

from itertools import cycle

import pytest
import torch

from prunus.optim import AdaBreg, LinBreg
from prunus.regularizers import GroupLasso, RegL1, RegL1L2, RegL1L2Conv, RegL1Pos
from prunus.schedules import Linear, OneShot
from prunus.steering import STEERING, AdditiveLambda, LambdaScheduler, QuantileLambda, SparsityBudget
from prunus.structures import Channel, Element, Filter, Kernel, Row
from tests.laws import steering as laws

OPTIMIZERS = {
    "adabreg": lambda reg, **settings: lambda weights: AdaBreg(weights, lr=0.02, reg=reg(0.02), **settings),
    "linbreg": lambda reg, **settings: lambda weights: LinBreg(weights, lr=0.1, reg=reg(0.02), **settings),
    "momentum": lambda reg, **settings: (
        lambda weights: LinBreg(weights, lr=0.1, reg=reg(0.02), momentum=0.9, **settings)
    ),
}
MAKERS = {
    "additive": lambda: AdditiveLambda(0.02, 0.75, lambda_update_rate=0.01, update_frequency=3),
    "additive_by_epoch": lambda: AdditiveLambda(0.02, [0.5, 0.75, 0.9], lambda_update_rate=0.01, update_frequency=1),
    "budget": lambda: SparsityBudget(target=0.75, period=7),
    "budget_with_rising_lambda": lambda: SparsityBudget(target=0.75, period=7, rise=0.1),
    "feedback": lambda: LambdaScheduler(initial_lambda=0.02, target_sparsity=0.75),
    "feedback_with_everything": lambda: LambdaScheduler(
        initial_lambda=0.02,
        target_sparsity=[0.5, 0.75],
        acceleration_factor=0.5,
        min_lambda=0.0,
        anti_windup=True,
        damping_zone=0.05,
        update_frequency=2,
        warmup_steps=7,
        warmup_epochs=1,
    ),
    "quantile": lambda: QuantileLambda(target=0.75),
    "quantile_on_a_schedule": lambda: QuantileLambda(target=0.75, schedule=Linear(0.75, initial=0.9), ramp=0.5),
}
AT = {
    "additive": lambda target, lamda=0.02: AdditiveLambda(lamda, target, lambda_update_rate=0.1, update_frequency=1),
    "budget": lambda target, lamda=0.02: SparsityBudget(target, OneShot(target), ramp=0.1, room=0.0),
    "feedback": lambda target, lamda=0.02: LambdaScheduler(lamda, target, acceleration_factor=1.0),
    "feedback_anti_windup": lambda target, lamda=0.02: LambdaScheduler(lamda, target, anti_windup=True),
    "quantile": lambda target, lamda=0.02: QuantileLambda(target),
}
WRONG = [
    (AdditiveLambda, "target_sparsity", 80),
    (AdditiveLambda, "lambda_update_rate", -0.1),
    (AdditiveLambda, "update_frequency", 0.5),
    (AdditiveLambda, "initial_lambda", float("nan")),
    (SparsityBudget, "target", "0.9"),
    (SparsityBudget, "period", 0),
    (SparsityBudget, "ramp", 0.0),
    (SparsityBudget, "back", 2.0),
    (SparsityBudget, "rise", -0.1),
    (LambdaScheduler, "target_sparsity", -0.5),
    (LambdaScheduler, "acceleration_factor", float("inf")),
    (LambdaScheduler, "min_lambda", -1.0),
    (LambdaScheduler, "anti_windup", 1),
    (LambdaScheduler, "damping_zone", 1.5),
    (LambdaScheduler, "damping", 0.5),
    (LambdaScheduler, "update_frequency", True),
    (LambdaScheduler, "warmup_steps", -1),
    (LambdaScheduler, "warmup_epochs", 1.0),
    (QuantileLambda, "target", 1.1),
    (QuantileLambda, "ramp", 0.0),
]


# By native kernels, where there are any; by torch; some each.
DTYPES = [(torch.float32,), (torch.float64,), (torch.float32, torch.float64)]
STRUCTURED = [
    (RegL1L2, Row(), [(10, 4), (7, 10)]),
    (RegL1L2Conv, Kernel(), [(4, 3, 3, 3), (2, 4, 3, 3), (3, 2, 2, 2, 2)]),
    (lambda lamda: GroupLasso(lamda, structure=Filter()), Filter(), [(6, 3, 3, 3), (4, 2, 5, 5), (5, 6, 3)]),
    (lambda lamda: GroupLasso(lamda, structure=Channel()), Channel(), [(4, 8, 3, 3), (6, 9)]),
    (RegL1Pos, Element(), [(8, 8)]),
]


def problem(shapes, steps=60, seed=0):
    generator = torch.Generator().manual_seed(seed)
    weights = [torch.randn(shape, generator=generator).mul_(0.3).requires_grad_() for shape in shapes]
    gradients = [[torch.randn(shape, generator=generator) for shape in shapes] for _ in range(steps)]
    return weights, gradients


def test_every_member_has_its_makers():
    for makers in (MAKERS.values(), (lambda make=make: make(0.5) for make in AT.values())):
        assert {type(make()) for make in makers} == set(STEERING.values())
    assert {kind for kind, _, _ in WRONG} == set(STEERING.values())


@pytest.mark.parametrize(("kind", "name", "value"), WRONG)
def test_a_bad_setting_gives_one_clear_error(kind, name, value):
    needed = {"target": 0.9} if kind in (SparsityBudget, QuantileLambda) else {}
    laws.law_one_clear_error(kind, {**needed, name: value}, name)


@pytest.mark.parametrize("name", sorted(set(AT) - {"quantile"}))  # whose λ is always that of the largest dead dual
@pytest.mark.parametrize("kind", ["adabreg", "linbreg"])
def test_it_rests_at_its_target(name, kind):
    weights, gradients = problem([(6, 5), (7,)])
    with torch.no_grad():
        weights[0][:3] = 0.0
    laws.law_rests_at_its_target(AT[name], OPTIMIZERS[kind](RegL1), weights, gradients)


@pytest.mark.parametrize("name", AT)
@pytest.mark.parametrize("kind", ["adabreg", "linbreg"])
def test_higher_targets_leave_no_more_alive(name, kind):
    targets = (0.1, 0.5, 0.6, 0.9)
    laws.law_higher_targets_leave_no_more_alive(AT[name], OPTIMIZERS[kind](RegL1), *problem([(9, 8)]), targets)


@pytest.mark.parametrize("kind", OPTIMIZERS)
@pytest.mark.parametrize("name", MAKERS)
class TestEverySteering:
    def test_a_run_repeats_itself(self, name, kind):
        laws.law_a_run_repeats_itself(MAKERS[name], OPTIMIZERS[kind](RegL1), *problem([(6, 5)], steps=25))

    def test_lambda_stays_in_its_bounds(self, name, kind):
        laws.law_lambda_stays_in_its_bounds(MAKERS[name], OPTIMIZERS[kind](RegL1), *problem([(6, 5), (0, 3)]))

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
@pytest.mark.parametrize(("reg", "structure", "shapes"), STRUCTURED)
def test_a_budget_of_groups_is_kept_after_every_step(kind, reg, structure, shapes):
    members = laws.groups_of(structure)
    budget = SparsityBudget(target=0.5, period=5, schedule=Linear(0.5))
    laws.law_budget_is_never_exceeded_and_met_at_the_end(budget, OPTIMIZERS[kind](reg), *problem(shapes), members)


@pytest.mark.parametrize("dtypes", DTYPES, ids=str)
@pytest.mark.parametrize(("reg", "structure", "shapes"), [*STRUCTURED, (RegL1, Element(), [(8, 8), (5,)])])
def test_a_budget_follows_its_twin(reg, structure, shapes, dtypes):
    weights, gradients = problem(shapes, steps=40)
    weights = [
        weight.detach().to(dtype).requires_grad_() for weight, dtype in zip(weights, cycle(dtypes), strict=False)
    ]
    budget = SparsityBudget(0.3, Linear(0.3, initial=0.8), ramp=0.4, room_until=0.4, period=5, back=0.7)
    make = OPTIMIZERS["linbreg"](reg, delta=0.8)
    laws.law_budget_follows_its_twin(budget, make, weights, gradients, structure)


@pytest.mark.parametrize("kind", OPTIMIZERS)
@pytest.mark.parametrize("target", [0.0, 0.29, 0.9, 1.0])
def test_a_quantile_leaves_exactly_as_many_weights_as_asked(kind, target):
    problem_ = problem([(10, 7), (3, 10), (0, 4)])
    laws.law_exactly_as_many_live_as_asked(QuantileLambda(target), OPTIMIZERS[kind](RegL1), *problem_, laws.elements)


@pytest.mark.parametrize("kind", OPTIMIZERS)
@pytest.mark.parametrize(("reg", "structure", "shapes"), STRUCTURED)
def test_a_quantile_leaves_exactly_as_many_groups_as_asked(kind, reg, structure, shapes):
    members, quantile = laws.groups_of(structure), QuantileLambda(0.5, Linear(0.5, initial=0.8), ramp=0.5)
    laws.law_exactly_as_many_live_as_asked(quantile, OPTIMIZERS[kind](reg), *problem(shapes), members)


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
