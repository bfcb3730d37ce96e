"""Rewiring moves weights: counts stay, the right ones go and come, nothing is remembered, runs resume bit for bit."""

from __future__ import annotations

import copy
import itertools

import pytest
import torch
from torch import nn

from prunus.actions import Prune, Rewire, Site
from prunus.criteria import Gradient, Magnitude, Random, Taylor
from prunus.errors import NoEffect, RunError, ScoreError, SettingError
from prunus.masks import MaskStore
from prunus.optim import AdaBreg
from prunus.policy import Policy
from prunus.regularizers import RegL1
from prunus.scheduler import CompressionScheduler
from prunus.schedules import Cosine, OneShot
from prunus.scopes import ErdosRenyi, PerLayer
from prunus.select import Select
from prunus.structures import NM, Channel, Element, Filter, Row
from prunus.window import Window
from tests import models
from tests.twins.rewire import rewire as twin

STEPS = 12


def sparse_start(sparsity=0.6, **settings):
    return Policy(Prune(OneShot(sparsity), Random(), **{"scope": ErdosRenyi(), **settings}), Window(0, 1))


def run(model, policies, steps=STEPS, optimizer=None, seed=0, start=0, state=None):
    """Train on noise that depends on the step alone; yield the scheduler after every step."""
    optimizer = optimizer or torch.optim.Adam(model.parameters(), lr=0.05)
    scheduler = CompressionScheduler(model, policies, optimizer=optimizer, steps_per_epoch=steps)
    if state is not None:
        scheduler.load_state_dict(state)
    for _ in scheduler.epochs(1):
        for step in range(start, steps):
            draw = torch.Generator().manual_seed(100 * seed + step)
            optimizer.zero_grad()
            model(torch.randn(16, 8, generator=draw)).sub(1).square().mean().backward()
            optimizer.step()
            yield scheduler


def alive(scheduler):
    return {name: scheduler.masks[name].clone() for name in scheduler.masks}


@pytest.mark.parametrize(
    ("drop", "grow", "structure"),
    [
        *itertools.product([Magnitude(), Taylor(), Random()], [Gradient(), Random()], [Element()]),
        (Magnitude(), Gradient(), Row()),
        (Magnitude(p=2), Random(), Channel()),
        (Random(), Gradient(p=2), Filter()),
    ],
    ids=repr,
)
def test_every_parameter_keeps_its_count_at_every_step_while_weights_move(drop, grow, structure):
    model = models.mlp()
    scope = ErdosRenyi() if structure == Element() else PerLayer()
    policies = [sparse_start(0.5, structure=structure, scope=scope), Rewire(drop=drop, grow=grow, structure=structure)]
    before = counts = None
    moved = 0
    for scheduler in run(model, policies):
        masks = alive(scheduler)
        now = {name: int(mask.sum()) for name, mask in masks.items()}
        assert counts in (None, now)
        assert all(not model.get_parameter(name)[~mask].any() for name, mask in masks.items())
        moved += 0 if before is None else sum(int((masks[name] & ~before[name]).sum()) for name in masks)
        before, counts = masks, now
    assert moved > 0


def test_what_goes_and_comes_is_that_of_the_twin():
    model = models.mlp()
    fraction = Cosine(final=0.1, initial=0.6)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    store = MaskStore([])
    site = Site(model, optimizer, store)
    Prune(OneShot(0.6), Random()).bind(site).fire(0, 1.0)
    bound = Rewire(fraction=fraction).bind(site)
    for step in range(6):
        optimizer.zero_grad()
        model(torch.randn(4, 8)).square().mean().backward()
        weights = {name: model.get_parameter(name) for name in store}
        expected = {
            name: twin(w.flatten().tolist(), w.grad.flatten().tolist(), store[name].flatten(), fraction(step / 5))
            for name, w in weights.items()
        }
        bound.fire(step, step / 5)
        for name, (mask, come) in expected.items():
            assert store[name].flatten().tolist() == mask
            assert not weights[name].flatten()[come].any()
        assert bound.metrics() == {"rewired": float(sum(len(come) for _, come in expected.values()))}
        optimizer.step()
        store.apply_()


OPTIMIZERS = {
    "momentum": (lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9), {"momentum_buffer"}),
    "adam": (lambda p: torch.optim.Adam(p, lr=0.1, amsgrad=True), {"exp_avg", "exp_avg_sq", "max_exp_avg_sq"}),
    "adabreg": (lambda p: AdaBreg(p, lr=0.1, reg=RegL1(1e-3)), {"exp_avg", "exp_avg_sq", "sub_grad"}),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("factory", [models.mlp, models.half])
def test_weights_that_come_are_not_remembered_and_the_others_are(name, factory):
    build, expected = OPTIMIZERS[name]
    model = factory()
    optimizer = build(model.parameters())
    site = Site(model, optimizer, MaskStore([]))
    for _ in range(3):
        optimizer.zero_grad()
        model(torch.randn(4, 8).to(model[0].weight.dtype)).square().mean().backward()
        optimizer.step()
    Prune(OneShot(0.5)).bind(site).fire(0, 1.0)
    bound = Rewire(fraction=OneShot(0.4)).bind(site)
    weight, before = model[0].weight, site.masks["0.weight"]
    memory = {key: value.clone() for key, value in optimizer.state[weight].items() if torch.is_tensor(value)}
    bound.fire(0, 1.0)
    came = site.masks["0.weight"] & ~before
    assert came.any()
    seen = set()
    for key, old in memory.items():
        new = optimizer.state[weight][key]
        if new.shape == weight.shape:
            seen.add(key)
            assert not new[came].any() and torch.equal(new[~came], old[~came])
        else:
            assert torch.equal(new, old)
    assert seen >= expected


def test_nothing_just_dropped_comes_back_and_no_more_moves_than_there_are_dead():
    model = nn.Linear(10, 10, bias=False)
    site = Site(model, None, MaskStore([]))
    Prune(OneShot(0.2)).bind(site).fire(0, 1.0)
    before = site.masks["weight"]
    model.weight.grad = torch.rand(10, 10) + before * 9.0
    Rewire(fraction=OneShot(0.9)).bind(site).fire(0, 1.0)
    assert torch.equal(~before & site.masks["weight"], ~before), "all twenty dead came, and only twenty went"
    assert int(site.masks["weight"].sum()) == 80


def test_dense_layers_are_left_alone():
    model = nn.Sequential(nn.Linear(8, 64), nn.Linear(64, 64), nn.Linear(64, 1))
    for scheduler in run(model, [sparse_start(0.8), Rewire(grow=Random())]):
        assert scheduler.masks["2.weight"].all() and 0 < scheduler.masks["1.weight"].float().mean() < 0.2


def test_a_fraction_of_zero_changes_nothing():
    plain, moved = models.mlp(), models.mlp()
    moved.load_state_dict(plain.state_dict())
    list(run(plain, [sparse_start()]))
    list(run(moved, [sparse_start(), Rewire(fraction=OneShot(0.0))]))
    assert all(torch.equal(a, b) for a, b in zip(plain.parameters(), moved.parameters(), strict=True))


@pytest.mark.parametrize("grow", [Gradient(), Random()], ids=repr)
@pytest.mark.parametrize("stop", [1, 5, 11])
def test_a_resumed_run_equals_one_that_was_never_stopped(grow, stop):
    def parts():
        torch.manual_seed(3)
        model = models.mlp()
        window = Window(0, 10, frequency=2, unit="step")
        policies = [sparse_start(), Policy(Rewire(grow=grow, drop=Magnitude()), window)]
        return model, policies, torch.optim.Adam(model.parameters(), lr=0.05)

    whole, policies, optimizer = parts()
    states = [
        {
            "model": {key: value.clone() for key, value in whole.state_dict().items()},
            "optimizer": copy.deepcopy(optimizer.state_dict()),
            "scheduler": copy.deepcopy(scheduler.state_dict()),
        }
        for scheduler in run(whole, policies, optimizer=optimizer)
    ]
    again, policies, optimizer = parts()
    again.load_state_dict(states[stop - 1]["model"])
    optimizer.load_state_dict(states[stop - 1]["optimizer"])
    list(run(again, policies, optimizer=optimizer, start=stop, state=states[stop - 1]["scheduler"]))
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), again.parameters(), strict=True))


def test_random_moves_repeat_with_the_seed_and_leave_the_global_generator_alone():
    def mask(seed):
        torch.manual_seed(0)
        model = models.mlp()
        before = torch.get_rng_state()
        last = list(run(model, [sparse_start(), Rewire(grow=Random(), seed=seed)]))[-1]
        assert torch.equal(torch.get_rng_state(), before)
        return last.masks["0.weight"]

    assert torch.equal(mask(1), mask(1)) and not torch.equal(mask(1), mask(2))


def test_transposed_convolutions_move_whole_output_channels():
    model = nn.ConvTranspose2d(3, 8, 2, bias=False)
    site = Site(model, None, MaskStore([]))
    Prune(OneShot(0.5), structure=Filter()).bind(site).fire(0, 1.0)
    model.weight.grad = torch.randn_like(model.weight)
    Rewire(fraction=OneShot(0.5), structure=Filter()).bind(site).fire(0, 1.0)
    channels = site.masks["weight"].transpose(0, 1).flatten(1)
    assert torch.equal(channels.any(dim=1), channels.all(dim=1)) and int(channels.any(dim=1).sum()) == 4


def test_what_cannot_work_is_refused_before_training():
    for grow in (Magnitude(), Taylor()):
        with pytest.raises(SettingError, match="dead weights are all zero"):
            Rewire(grow=grow)
    with pytest.raises(SettingError, match="counts in small sets"):
        Rewire(structure=NM())


def test_groups_masked_in_part_are_refused():
    model = models.mlp()
    with pytest.raises(RunError, match="masked in part"):
        list(run(model, [sparse_start(0.5), Rewire(structure=Row())]))


def test_gradients_that_are_missing_or_broken_are_named():
    model = models.mlp()
    policies = [sparse_start(), Policy(Rewire(), Window(unit="epoch"))]
    with pytest.raises(RunError, match="needs gradients.*use a window in steps"):
        CompressionScheduler(model, policies, epochs=2).epoch_begin()
    site = Site(model, None, MaskStore([]))
    Prune(OneShot(0.5)).bind(site).fire(0, 1.0)
    masks = {name: site.masks[name] for name in site.masks}
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, torch.nan)
    with pytest.raises(ScoreError, match="NaN"):
        Rewire(fraction=OneShot(0.5)).bind(site).fire(0, 1.0)
    assert all(torch.equal(site.masks[name], mask) for name, mask in masks.items())


def test_a_dense_model_is_reported_once():
    with pytest.warns(NoEffect, match="nothing is pruned yet") as caught:
        list(run(models.mlp(), [Rewire(select=Select(include=("0.*",)))]))
    assert len(caught) == 1
