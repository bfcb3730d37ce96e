"""n:m pruning: exact in every set at every level of the ramp, along the inputs of every kind of layer."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from prunus.actions import Prune, Site
from prunus.actions import prune as module
from prunus.criteria import LAMP, Gradient, Magnitude, Random
from prunus.errors import ScoreError, SettingError, StructureError
from prunus.masks import MaskStore
from prunus.scheduler import CompressionScheduler
from prunus.schedules import Cubic, Levels, Linear, OneShot
from prunus.scopes import ErdosRenyi, Global, PerLayer
from prunus.structures import NM

LAYERS = {
    "linear": lambda: nn.Linear(16, 6, bias=False),
    "conv1d": lambda: nn.Conv1d(8, 4, 3, bias=False),
    "conv2d": lambda: nn.Conv2d(16, 4, 3, bias=False),
    "grouped": lambda: nn.Conv2d(16, 4, 3, groups=2, bias=False),
    "channels_last": lambda: nn.Conv2d(8, 4, 3, bias=False).to(memory_format=torch.channels_last),
    "transposed": lambda: nn.ConvTranspose2d(8, 3, 2, bias=False),
    "half": lambda: nn.Linear(16, 6, bias=False).to(torch.bfloat16),
}


def sets(model, m):
    """Return the weights as (sets, m), written out: neighbours along the inputs."""
    weight = model.weight.detach()
    weight = weight.transpose(0, 1) if isinstance(model, nn.ConvTranspose2d) else weight
    columns = weight.reshape(len(weight), weight.shape[1], -1)
    places = [columns[o, :, k] for o in range(len(weight)) for k in range(columns.shape[2])]
    return torch.stack([part for place in places for part in place.split(m)])


@pytest.mark.parametrize("criterion", [Magnitude(), Random(), LAMP(), Gradient()], ids=repr)
@pytest.mark.parametrize("structure", [NM(), NM(4, 8), NM(1, 4), NM(1, 2)], ids=repr)
@pytest.mark.parametrize("layer", LAYERS)
def test_every_set_loses_exactly_its_share_along_the_ramp(layer, structure, criterion, monkeypatch):
    monkeypatch.setattr(module, "CHUNK", 50)
    model = LAYERS[layer]()
    site = Site(model, None, MaskStore([]))
    bound = Prune(Linear(structure.level), criterion, structure).bind(site)
    model.weight.grad = torch.randn_like(model.weight)
    for i in range(7):
        level = structure.level * i / 6
        before = sets(model, structure.m)
        bound.fire(i, i / 6)
        after = sets(model, structure.m)
        assert ((after == 0).sum(dim=1) == int(level * structure.m + 1e-9)).all()
        if isinstance(criterion, Magnitude | LAMP):
            assert (
                before.abs().where(after != 0, torch.inf).amin(1) >= before.abs().where(after == 0, 0).amax(1)
            ).all()
    assert bound.metrics()["achieved_sparsity"] == structure.level


def test_the_ramp_goes_through_whole_numbers_of_each_set():
    model = nn.Linear(8, 8, bias=False)
    scheduler = CompressionScheduler(model, [Prune(Cubic(0.5), structure=NM())])
    assert [scheduler.sparsity() for _ in scheduler.epochs(5)] == [0.0, 0.25, 0.25, 0.25, 0.5]


def test_sets_that_have_lost_more_already_keep_what_is_left():
    model = nn.Linear(8, 4, bias=False)
    site = Site(model, None, MaskStore([]))
    site.masks.include(Prune(OneShot(0.5)).bind(site).chosen)
    mask = torch.ones(4, 8, dtype=torch.bool)
    mask[0, :3] = False
    mask[1, 5] = False
    site.masks.update({"weight": mask})
    Prune(OneShot(0.5), structure=NM()).bind(site).fire(0, 1.0)
    assert site.masks["weight"].view(4, 2, 4).sum(dim=2).tolist() == [[1, 2], [2, 2], [2, 2], [2, 2]]
    assert not (site.masks["weight"] & ~mask).any()


def test_ties_go_to_the_lower_input():
    model = nn.Conv2d(4, 2, 2, bias=False)
    nn.init.ones_(model.weight)
    list(CompressionScheduler(model, [Prune(OneShot(0.5), structure=NM())]).epochs(1))
    assert model.weight[:, :2].all() and not model.weight[:, 2:].any()


@pytest.mark.parametrize("schedule", [OneShot(0.6), Cubic(0.9), Levels((0.25, 0.75))], ids=repr)
def test_a_schedule_that_ends_elsewhere_is_refused_by_both_names(schedule):
    with pytest.raises(SettingError, match=r"ends at 0\.\d+, but NM\(n=2, m=4\) is sparsity 0.5") as caught:
        Prune(schedule, structure=NM())
    assert repr(schedule) in str(caught.value)
    Prune(Linear(1 - 2 / 3), structure=NM(2, 3))


def test_a_scope_that_sets_densities_is_refused():
    for scope in (Global(), PerLayer()):
        Prune(OneShot(0.5), structure=NM(), scope=scope)
    with pytest.raises(SettingError, match="fixes the density"):
        Prune(OneShot(0.5), structure=NM(), scope=ErdosRenyi())


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (nn.Conv2d(3, 8, 3), "3 inputs do not divide into sets of 4, 3 left over"),
        (nn.ConvTranspose2d(8, 4, 2, groups=2), "one slice spans several output channels"),
    ],
)
def test_layers_that_do_not_divide_are_refused_before_training(model, reason):
    with pytest.raises(StructureError, match=reason):
        CompressionScheduler(model, [Prune(OneShot(0.5), structure=NM())])


@pytest.mark.parametrize("wrong", [{"n": 0}, {"n": 4}, {"m": 1, "n": 1}, {"n": 1.5}, {"m": True}])
def test_impossible_sets_are_refused(wrong):
    with pytest.raises(SettingError):
        NM(**wrong)


def test_nan_changes_nothing():
    model = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8))
    with torch.no_grad():
        model[1].weight[3, 5] = torch.nan
    before = model[0].weight.detach().clone()
    scheduler = CompressionScheduler(model, [Prune(OneShot(0.5), structure=NM())], epochs=1)
    with pytest.raises(ScoreError, match="NaN"):
        scheduler.epoch_begin()
    assert len(scheduler.masks) == 0 and torch.equal(model[0].weight, before)
