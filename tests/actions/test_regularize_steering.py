"""A penalty whose λ is steered: the additive rule by hand, the same bits after a resume, nothing else moved."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from prunus import recipes
from prunus.actions import Prune, Regularize, Steer
from prunus.errors import NoEffect, SettingError
from prunus.measure import sparsity
from prunus.policy import Policy
from prunus.regularizers import RegL1
from prunus.scheduler import CompressionScheduler
from prunus.schedules import OneShot
from prunus.steering import AdditiveLambda, SparsityBudget
from prunus.window import Window
from tests import models
from tests.e2e.comparing import differences

EVERY, STEPS = 3, 7


def additive(**settings: Any) -> AdditiveLambda:
    return AdditiveLambda(0.5, 0.8, lambda_update_rate=0.1, update_frequency=EVERY, **settings)


class Run:
    """A small net whose penalty is steered while half of its weights are masked."""

    def __init__(self, *policies: Any) -> None:
        torch.manual_seed(0)
        self.model = models.mlp()
        self.reg = RegL1(123.0)  # where the steering begins is the steering's to say
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.01)
        mine = [Prune(OneShot(0.5)), Regularize(self.reg, steering=additive()), *policies]
        self.scheduler = CompressionScheduler(self.model, mine, optimizer=self.optimizer, steps_per_epoch=STEPS)

    def go(self, epochs: int) -> list[float]:
        seen = []
        for epoch in self.scheduler.epochs(epochs):
            for index in range(STEPS):
                torch.manual_seed(epoch * STEPS + index)
                self.optimizer.zero_grad()
                self.scheduler.loss(self.model(torch.randn(4, 8)).square().mean()).backward()
                self.optimizer.step()
                seen.append(self.reg.lamda)
        return seen


def test_the_rule_acts_every_so_many_steps_on_masked_and_natural_zeros() -> None:
    run = Run()
    seen = run.go(1)
    first = 0.5 + 0.1 * (0.8 - 0.5)
    assert seen[:2] == [0.5, 0.5] and seen[2:5] == pytest.approx([first] * 3)
    assert seen[5:] == pytest.approx([first + 0.1 * (0.8 - sparsity(run.model))] * 2)
    assert run.scheduler.history[0]["lambda"] == run.reg.lamda


def test_a_target_that_the_penalty_misses_is_said_once_with_what_makes_zeros() -> None:
    run = Run()
    with pytest.warns(NoEffect, match=r"at the sparsity 0.5 \(target 0.8\) with λ=.*prune as well") as said:
        run.go(1)
        run.scheduler.finish()
    assert len(said) == 1


def test_a_target_that_masks_meet_is_not_missed(recwarn: pytest.WarningsRecorder) -> None:
    Run(Prune(OneShot(0.8))).go(1)
    assert not recwarn.list


def test_micro_batches_do_not_count_as_steps() -> None:
    model, reg = models.mlp(), RegL1(1.0)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    policies = [Regularize(reg, steering=additive())]
    scheduler = CompressionScheduler(model, policies, optimizer=optimizer, steps_per_epoch=2)
    for _ in scheduler.epochs(1):
        for index in range(2 * EVERY):
            scheduler.loss(model(torch.randn(4, 8)).square().mean()).backward()
            if index % EVERY == EVERY - 1:
                optimizer.step()
    assert reg.lamda == 0.5 and scheduler.step == 2


def test_a_saved_run_goes_on_with_the_same_bits() -> None:
    whole, first, second = Run(), Run(), Run()
    whole.go(2)
    first.scheduler.total_epochs = 2
    run = first.scheduler.epochs(2)
    next(run)
    for index in range(STEPS):
        torch.manual_seed(index)
        first.optimizer.zero_grad()
        first.scheduler.loss(first.model(torch.randn(4, 8)).square().mean()).backward()
        first.optimizer.step()
    first.scheduler.epoch_end()
    second.model.load_state_dict(first.model.state_dict())
    second.optimizer.load_state_dict(first.optimizer.state_dict())
    second.scheduler.load_state_dict(first.scheduler.state_dict())
    assert second.reg.lamda == first.reg.lamda != 0.5
    second.go(2)
    assert list(differences(whole.scheduler.state_dict(), second.scheduler.state_dict())) == []
    assert list(differences(dict(whole.model.state_dict()), dict(second.model.state_dict()))) == []


def test_it_is_written_and_read_as_a_recipe() -> None:
    text = recipes.dump([Regularize(RegL1(0.1), steering=additive())])
    (policy,) = recipes.load(text)
    assert policy.when == Window(unit="step") and repr(policy.action.steering) == repr(additive())


def test_what_takes_no_readings_is_refused() -> None:
    with pytest.raises(SettingError, match="takes readings of the sparsity, such as AdditiveLambda"):
        Regularize(RegL1(0.1), steering=SparsityBudget(0.9))
    with pytest.raises(SettingError, match="unit='step', frequency=1"):
        Policy(Regularize(RegL1(0.1), steering=additive()), Window(0, 3))
    with pytest.raises(SettingError, match=r"an optimizer of prunus\.optim, got SGD"):
        optimizer = torch.optim.SGD((model := nn.Linear(2, 2)).parameters(), lr=0.1)
        CompressionScheduler(model, [Steer(additive())], optimizer=optimizer)
