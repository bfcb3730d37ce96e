"""What every magnitude pruner and every rewinder promises, as functions of a class."""

from __future__ import annotations

import copy

import torch
from torch import nn

from prunus.keep import pruned_count

LEVELS = [0.0, 0.3, 0.29, 0.5, 0.8, 1.0]


def layer(weights):
    module = nn.Linear(len(weights[0]), len(weights), bias=False)
    module.weight.data = torch.tensor(weights)
    return module


def law_exact(make):
    """The count is the largest that does not exceed the share: of fresh weights, and where all weights are equal."""
    for sparsity in LEVELS:
        for weight in (torch.randn(10, 10), torch.ones(10, 10)):
            module = nn.Linear(10, 10)
            module.weight.data = weight
            pruned = make().prune_layer(module, "fc", sparsity=sparsity, verbose=False)
            assert pruned == pruned_count(sparsity, 100) == int((module.weight == 0).sum())


def law_ties_keep_the_first(make):
    """Of equal magnitudes, whatever their sign, the lower index stays."""
    module = layer([[1.0, -1.0, 2.0, 1.0], [2.0, -1.0, 1.0, -2.0]])
    make().prune_layer(module, "fc", sparsity=0.5, verbose=False)
    assert module.weight.tolist() == [[1.0, 0.0, 2.0, 0.0], [2.0, 0.0, 0.0, -2.0]]


def law_monotone(make):
    """Pruning to less, or again after the weights moved, brings nothing back."""
    model, pruner = nn.Sequential(nn.Linear(8, 8)), make()
    pruner.prune_model(model, sparsity=0.5, verbose=False)
    dead = ~pruner.masks["0"]
    for sparsity in (0.25, 0.5, 0.0):
        model[0].weight.data.normal_()
        pruner.prune_model(model, sparsity=sparsity, verbose=False)
        assert torch.equal(~pruner.masks["0"], dead)
        assert not model[0].weight[dead].any()


def law_threshold_keeps_its_equal(make):
    """A weight as large as the threshold stays, a smaller one goes."""
    module = layer([[0.25, -0.25, 0.125, 0.5]])
    assert make(threshold=0.25).prune_layer(module, "fc", verbose=False) == 1
    assert module.weight.tolist() == [[0.25, -0.25, 0.0, 0.5]]


PRUNER_LAWS = [law_exact, law_ties_keep_the_first, law_monotone, law_threshold_keeps_its_equal]


def training():
    """A model with running statistics, its optimizer with momentum, a schedule, and one step of the three."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Linear(6, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [3], gamma=0.1)

    def train(steps):
        for _ in range(steps):
            optimizer.zero_grad()
            model(torch.randn(8, 4)).square().mean().backward()
            optimizer.step()
            schedule.step()

    return model, optimizer, schedule, train


def snapshot(parts):
    return copy.deepcopy([part.state_dict() for part in parts])


def same(one, other):
    """Compare nested states bit for bit."""
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


def law_weights_go_back_every_time(make):
    """Weights, running statistics, moments and schedule are those of the point, the second time as well."""
    *parts, train = training()
    train(2)
    rewinder = make("weights")
    rewinder.capture(*parts)
    point = snapshot(parts)
    for _ in range(2):
        train(4)
        assert not same(snapshot(parts), point)
        rewinder.restore(*parts)
        assert same(snapshot(parts), point)


def law_lr_moves_the_schedule_alone(make):
    """Weights and moments stay bit for bit; learning rate and schedule are those of the point, and go on from it."""
    (model, optimizer, schedule), train = (parts := training())[:3], parts[3]
    train(2)
    rewinder = make("lr")
    rewinder.capture(model, optimizer, schedule)
    for _ in range(2):
        train(4)
        weights, moments = snapshot([model]), copy.deepcopy(optimizer.state_dict()["state"])
        rewinder.restore(model, optimizer, schedule)
        assert same(snapshot([model]), weights)
        assert same(optimizer.state_dict()["state"], moments)
        rates = []
        for _ in range(3):
            rates.append(round(optimizer.param_groups[0]["lr"], 6))
            schedule.step()
        assert rates == [0.1, 0.01, 0.01]
        rewinder.restore(model, optimizer, schedule)


def law_none_changes_nothing(make):
    """Without a mode nothing is kept and nothing moves."""
    *parts, train = training()
    rewinder = make(None)
    rewinder.capture(*parts)
    train(4)
    before = snapshot(parts)
    rewinder.restore(*parts)
    assert same(snapshot(parts), before)
    assert not rewinder.captured


REWINDER_LAWS = [law_weights_go_back_every_time, law_lr_moves_the_schedule_alone, law_none_changes_nothing]
