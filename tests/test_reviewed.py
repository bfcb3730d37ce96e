"""What a sceptical reader proved wrong once: each stays right."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import nn

from prunus.actions import Prune, Regularize, Rewire, Steer
from prunus.criteria import Random
from prunus.errors import CheckpointError, NoEffect, RunError, SettingError
from prunus.optim import AdaBreg, ProxSGD, sparsify_
from prunus.policy import Policy
from prunus.regularizers import RegL1, RegL1L2Conv
from prunus.scheduler import CompressionScheduler
from prunus.schedules import Linear, OneShot
from prunus.steering import LambdaScheduler, SparsityBudget
from prunus.window import Window


def net() -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(20, 10, bias=False)


def step(model, optimizer, inputs=None):
    optimizer.zero_grad()
    model(torch.randn(8, 20) if inputs is None else inputs).pow(2).sum().backward()
    optimizer.step()


def test_a_step_that_the_scaler_skipped_does_not_cost_the_target():
    model, scaler = net(), torch.amp.GradScaler("cpu")
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-6)
    policy = Policy(Prune(Linear(0.9)), Window(unit="step"))
    scheduler = CompressionScheduler(model, [policy], optimizer=optimizer, steps_per_epoch=10)
    for epoch in scheduler.epochs(2):
        for index in range(10):
            optimizer.zero_grad()
            loss = model(torch.randn(8, 20)).pow(2).sum() * (float("inf") if epoch == index == 0 else 1)
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
    assert scheduler.step == 19 and scheduler.sparsity() == 0.9


@pytest.mark.parametrize("steps", [4, 20])
def test_more_or_fewer_steps_than_announced_warn_and_still_end_at_the_budget(steps):
    model = net()
    optimizer = AdaBreg(model.parameters(), lr=0.01, reg=RegL1(0.01))
    scheduler = CompressionScheduler(model, [Steer(SparsityBudget(0.9))], optimizer=optimizer, steps_per_epoch=10)
    with pytest.warns(NoEffect, match=f"took {steps} optimizer steps, steps_per_epoch says 10") as said:
        for _ in scheduler.epochs(3):
            for _ in range(steps):
                step(model, optimizer)
    assert scheduler.sparsity() == 0.9
    assert sum("steps_per_epoch says" in str(warning.message) for warning in said) == 1


def test_a_resume_leaves_lambda_alone_until_the_window_of_its_policy_opens():
    def start():
        model = net()
        optimizer = AdaBreg(model.parameters(), lr=0.01, reg=RegL1(0.1))
        policies = [
            Policy(Steer(LambdaScheduler(0.1, 0.5)), Window(0, 10, unit="step")),
            Policy(Steer(LambdaScheduler(1.0, 0.9)), Window(10, 20, unit="step")),
        ]
        return (
            model,
            optimizer,
            CompressionScheduler(model, policies, optimizer=optimizer, steps_per_epoch=10, epochs=2),
        )

    whole, resumed, inputs = start(), start(), torch.ones(8, 20)
    for _ in range(5):
        step(*whole[:2], inputs)
    for part, saved in zip(resumed, whole, strict=True):
        part.load_state_dict(copy.deepcopy(saved.state_dict()))
    for _ in range(8):
        step(*whole[:2], inputs)
        step(*resumed[:2], inputs)
        assert torch.equal(whole[0].weight, resumed[0].weight)


def test_a_budget_calls_back_only_what_masks_let_live():
    model = net()
    sparsify_([model.weight], 0.2)
    optimizer = AdaBreg(model.parameters(), lr=0.001, reg=RegL1(0.5))
    policies = [Prune(OneShot(0.5), Random()), Steer(SparsityBudget(0.6, room=0.0, ramp=0.1))]
    scheduler = CompressionScheduler(model, policies, optimizer=optimizer, steps_per_epoch=20)
    for _ in scheduler.epochs(5):
        for _ in range(20):
            step(model, optimizer)
    assert scheduler.count().kept == 80 == scheduler.history[-1]["budget_survivors"]


def test_a_budget_that_masks_put_out_of_reach_says_so():
    model = net()
    optimizer = AdaBreg(model.parameters(), lr=0.001, reg=RegL1(0.01))
    policies = [Prune(OneShot(0.8)), Steer(SparsityBudget(0.5, room=0.0, ramp=0.1))]
    scheduler = CompressionScheduler(model, policies, optimizer=optimizer, steps_per_epoch=20)
    with pytest.warns(NoEffect, match="60 places stay empty, because masks hold the rest at zero"):
        for _ in scheduler.epochs(1):
            for _ in range(20):
                step(model, optimizer)


def test_biases_that_a_group_regularizer_ignores_are_not_steered():
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten())
    optimizer = AdaBreg(model.parameters(), reg=RegL1L2Conv(0.01))
    budget = Steer(SparsityBudget(0.5))
    scheduler = CompressionScheduler(model, [budget], optimizer=optimizer, steps_per_epoch=5)
    for _ in scheduler.epochs(2):
        for _ in range(5):
            step(model, optimizer, torch.randn(2, 3, 9, 9))
    assert scheduler.count().total == 216 and int(model[0].weight.flatten(2).any(dim=2).sum()) == 12


@pytest.mark.parametrize("window", [Window(frequency=2, unit="step"), Window(unit="epoch")])
def test_a_budget_that_would_act_now_and_then_is_refused(window):
    with pytest.raises(SettingError, match="acts after every step, so write unit='step'"):
        Policy(Steer(SparsityBudget(0.9)), window)


def test_faults_of_a_budget_show_before_the_first_step():
    model = net()
    with pytest.raises(SettingError, match="which ProxSGD does not keep"):
        optimizer = ProxSGD(model.parameters(), reg=RegL1(0.1))
        CompressionScheduler(model, [Steer(SparsityBudget(0.9))], optimizer=optimizer)
    optimizer = AdaBreg(model.parameters(), reg=RegL1(0.1))
    scheduler = CompressionScheduler(model, [Steer(SparsityBudget(0.9))], optimizer=optimizer, epochs=2)
    with pytest.raises(RunError, match="steps_per_epoch"):
        scheduler.epoch_begin()


def test_an_overflow_in_a_fused_optimizer_fires_nothing():
    model, scaler = net(), torch.amp.GradScaler("cpu")
    optimizer = torch.optim.Adam(model.parameters(), fused=True)
    policies = [Prune(OneShot(0.5)), Policy(Rewire(), Window(0, 20, unit="step"))]
    scheduler = CompressionScheduler(model, policies, optimizer=optimizer, steps_per_epoch=10, epochs=2)
    for index in range(10):
        optimizer.zero_grad()
        loss = model(torch.randn(8, 20)).pow(2).sum() * (float("inf") if index == 0 else 1)
        scaler.scale(loss).backward()
        scheduler.gradients_ready()
        scaler.step(optimizer)
        scaler.update()
    assert scheduler.step == 9 and scheduler.sparsity() == 0.5


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda parts: pickle.loads(pickle.dumps(parts))])
def test_a_copied_scheduler_goes_on_enforcing(duplicate):
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scheduler = CompressionScheduler(model, [Prune(OneShot(0.5))], optimizer=optimizer, steps_per_epoch=20, epochs=5)
    scheduler.epoch_begin()
    model, optimizer, scheduler = duplicate((model, optimizer, scheduler))
    step(model, optimizer)
    assert scheduler.step == 1 and scheduler.sparsity() == 0.5


def test_a_damaged_generator_leaves_the_masks_as_they_were():
    source = CompressionScheduler(net(), [Prune(OneShot(0.5))], epochs=2)
    source.epoch_begin()
    state = copy.deepcopy(source.state_dict())
    state["policies"][0]["state"]["generator"] = torch.zeros(3, dtype=torch.uint8)
    scheduler = CompressionScheduler(net(), [Prune(OneShot(0.5))], epochs=2)
    with pytest.raises(CheckpointError, match="damaged"):
        scheduler.load_state_dict(state)
    assert len(scheduler.masks) == 0


def test_a_run_that_is_over_says_so():
    scheduler = CompressionScheduler(net(), [Prune(OneShot(0.5))])
    list(scheduler.epochs(2))
    with pytest.warns(NoEffect, match="has done 2 epochs already"):
        assert list(scheduler.epochs(2)) == []


def test_a_penalty_is_logged_only_while_it_is_active():
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    policy = Policy(Regularize(RegL1(0.5)), Window(0, 1))
    scheduler = CompressionScheduler(model, [policy], optimizer=optimizer)
    for _ in scheduler.epochs(2):
        optimizer.zero_grad()
        scheduler.loss(model(torch.randn(8, 20)).sum()).backward()
        optimizer.step()
    assert ["penalty" in row for row in scheduler.history] == [True, False]


def test_groups_added_later_are_counted():
    model, later = net(), net()
    optimizer = AdaBreg(model.parameters(), lr=0.01, reg=RegL1(0.01))
    scheduler = CompressionScheduler(model, [Steer(LambdaScheduler(0.01, 0.5))], optimizer=optimizer, epochs=1)
    optimizer.add_param_group({"params": list(later.parameters()), "reg": RegL1(0.01)})
    step(model, optimizer)
    assert scheduler.count().total == 400
