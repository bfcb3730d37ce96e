"""Pruning composes criterion, structure, scope and schedule, with exact counts whatever the combination."""

import itertools
import warnings

import pytest
import torch
from torch import nn

from prunus.actions import Prune, Site
from prunus.actions.prune import Prune as PruneMember
from prunus.criteria import Criterion, Magnitude, Random
from prunus.errors import LayerCollapse, NoEffect, RunError, ScoreError
from prunus.keep import pruned_count
from prunus.masks import MaskStore
from prunus.scheduler import CompressionScheduler
from prunus.schedules import Cubic, Linear, OneShot
from prunus.scopes import ErdosRenyi, Global, PerLayer
from prunus.select import Select
from prunus.structures import Block, Channel, Column, Element, Filter, Kernel, Layer, Row
from tests import models


def pruned(model, *, epochs=4, schedule=None, **settings):
    scheduler = CompressionScheduler(model, [Prune(schedule or Linear(0.5), **settings)])
    for _ in scheduler.epochs(epochs):
        yield scheduler


def groups(target_weights, structure):
    flags = [structure.split(weight.detach().ne(0)).any(dim=1) for weight in target_weights]
    return sum(int((~flag).sum()) for flag in flags), sum(flag.numel() for flag in flags)


COMBINATIONS = [
    *itertools.product(
        [Magnitude(), Magnitude(p=2), Random()], [Element(), Row(), Column(), Block(2, 4)], [Global(), PerLayer()]
    ),
]


@pytest.mark.filterwarnings("ignore::prunus.errors.LayerCollapse")
@pytest.mark.parametrize(("criterion", "structure", "scope"), COMBINATIONS, ids=repr)
def test_every_combination_achieves_the_asked_count_at_every_epoch(criterion, structure, scope):
    torch.manual_seed(1)
    model = models.mlp()
    weights = [model[0].weight, model[2].weight]
    for scheduler in pruned(model, criterion=criterion, structure=structure, scope=scope):
        level = 0.5 * scheduler.epoch / 3
        if isinstance(scope, Global):
            dead, total = groups(weights, structure)
            assert dead == pruned_count(level, total)
        else:
            assert all(
                dead == pruned_count(level, total)
                for dead, total in (groups([weight], structure) for weight in weights)
            )


@pytest.mark.filterwarnings("ignore::prunus.errors.LayerCollapse")
@pytest.mark.parametrize("structure", [Kernel(), Filter(), Channel(), Layer()])
def test_convolutions_of_every_kind_lose_whole_groups(structure):
    model = models.convs()
    weights = [
        module.weight if not isinstance(module, nn.ConvTranspose2d) else module.weight.transpose(0, 1)
        for module in model
    ]
    for _ in pruned(model, epochs=1, schedule=OneShot(0.4), structure=structure, criterion=Magnitude(average=True)):
        dead, total = groups(weights, structure)
        assert dead == pruned_count(0.4, total) and dead > 0


@pytest.mark.filterwarnings("ignore::prunus.errors.LayerCollapse")
@pytest.mark.parametrize(
    "factory", [models.mlp, models.Tied, models.channels_last, models.half, models.normed, models.recurrent]
)
@pytest.mark.parametrize("level", [0.0, 0.29, 0.5, 1.0])
def test_trouble_models_reach_every_level_exactly(factory, level):
    for scheduler in pruned(factory(), epochs=1, schedule=OneShot(level)):
        assert scheduler.count().zeros == pruned_count(level, scheduler.count().total)


def test_the_scope_sees_the_shapes_of_the_layers():
    model = models.convs()
    weights = [module.weight for module in model]
    for _ in pruned(model, epochs=1, schedule=OneShot(0.7), scope=ErdosRenyi(), criterion=Random()):
        shapes = [w.transpose(0, 1).shape if w is model[2].weight else w.shape for w in weights]
        pools = ErdosRenyi().allot([weight.numel() for weight in weights], 0.7, shapes=shapes)
        assert [int(weight.count_nonzero()) for weight in weights] == [pool.keep for pool in pools]


def test_equal_weights_fall_in_order():
    model = nn.Linear(4, 4, bias=False)
    nn.init.ones_(model.weight)
    for _ in pruned(model, epochs=1, schedule=OneShot(0.5)):
        assert model.weight.flatten().tolist() == [1.0] * 8 + [0.0] * 8


def test_what_is_pruned_stays_pruned_though_it_would_score_high_later():
    model = nn.Linear(4, 4, bias=False)
    dead = None
    for scheduler in pruned(model, criterion=Random()):
        with torch.no_grad():
            model.weight.copy_(torch.randn(4, 4))
        now = ~scheduler.masks["weight"]
        assert dead is None or bool((now & dead == dead).all())
        dead = now


def test_a_sparser_model_than_asked_is_left_as_it_is():
    model = models.mlp()
    scheduler = CompressionScheduler(model, [Prune(OneShot(0.5)), Prune(OneShot(0.2))])
    for _ in scheduler.epochs(1):
        assert scheduler.sparsity() == 0.5
        assert scheduler.metrics()["asked_sparsity_1"] == 0.2 and scheduler.metrics()["achieved_sparsity_1"] == 0.5


def test_unlike_structures_join_in_one_mask():
    model = nn.Linear(8, 8, bias=False)
    scheduler = CompressionScheduler(model, [Prune(OneShot(0.25), structure=Row()), Prune(OneShot(0.5))])
    for _ in scheduler.epochs(1):
        dead_rows = (model.weight == 0).all(dim=1).sum()
        assert dead_rows >= 2 and scheduler.sparsity() == 0.5


class Sizes(Magnitude):
    """The same scores, written down before they are ranked."""

    def _rate(self, groups, gradient, generator):
        return super()._rate(groups, gradient, generator)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("scope", [Global(), PerLayer()])
def test_single_weights_rank_by_size_without_their_sizes_written_down(kind, scope):
    def masks(criterion):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ConvTranspose2d(8, 4, 3), nn.Linear(9, 1)).to(kind)
        model[0].to(memory_format=torch.channels_last)
        with torch.no_grad():
            model[2].weight.copy_(torch.tensor([1, -1, 1, -1, 0.0, -0.0, 2, -2, 2]))
        store = MaskStore([])
        bound = Prune(Linear(0.7, initial=0.3), criterion, scope=scope).bind(Site(model, None, store))
        for time in range(3):
            bound.fire(time, time / 2)
        return [store[f"{index}.weight"] for index in range(3)]

    assert not Sizes.absolute and Magnitude.absolute
    assert all(torch.equal(*pair) for pair in zip(masks(Magnitude()), masks(Sizes()), strict=True))


def test_natural_zeros_go_first_and_are_held():
    model = nn.Linear(10, 10, bias=False)
    with torch.no_grad():
        model.weight[3] = 0
    for scheduler in pruned(model, epochs=1, schedule=OneShot(0.1)):
        assert (~scheduler.masks["weight"]).nonzero()[:, 0].unique().tolist() == [3]


def test_random_choices_repeat_with_the_seed_and_leave_the_global_generator_alone():
    def mask(seed):
        torch.manual_seed(0)
        model = models.mlp()
        state = torch.get_rng_state()
        for scheduler in pruned(model, epochs=1, schedule=OneShot(0.5), criterion=Random(), seed=seed):
            assert torch.equal(torch.get_rng_state(), state)
            return scheduler.masks["0.weight"]

    assert torch.equal(mask(1), mask(1)) and not torch.equal(mask(1), mask(2))


def test_a_layer_that_loses_its_last_weight_is_reported():
    model = models.mlp()
    with torch.no_grad():
        model[2].weight.mul_(1e-3)
    with pytest.warns(LayerCollapse, match="nothing is left of 2.weight at sparsity 0.5"):
        list(pruned(model, epochs=1, schedule=OneShot(0.5)))
    list(pruned(models.mlp(), epochs=1, schedule=OneShot(0.5), scope=PerLayer()))


def test_nan_weights_are_refused_and_leave_the_masks_as_they_were():
    model = models.mlp()
    scheduler = CompressionScheduler(model, [Prune(Cubic(0.5))], epochs=2)
    scheduler.epoch_begin()
    with torch.no_grad():
        model[0].weight[0, 0] = float("nan")
    scheduler.epoch_end()
    with pytest.raises(ScoreError, match="NaN"):
        scheduler.epoch_begin()
    assert len(scheduler.masks) == 0


def test_a_criterion_that_needs_gradients_says_which_window_gives_them():
    class Gradient(Criterion):
        needs_gradient = True

        def _rate(self, groups, gradient, generator):
            return gradient.abs().sum(dim=1)

    with pytest.raises(RunError, match=r"needs the gradient of 0.weight: use a window in steps|in steps"):
        list(pruned(models.mlp(), epochs=1, criterion=Gradient()))


def test_a_layer_that_is_unfrozen_later_is_said_not_to_be_pruned():
    model = models.mlp()
    model[0].weight.requires_grad_(False)
    scheduler = CompressionScheduler(model, [Prune(Linear(0.5))])
    with pytest.warns(NoEffect, match=r"^0.weight: frozen when the scheduler was built, trained since") as said:
        for epoch in scheduler.epochs(2):
            model[0].weight.requires_grad_(epoch == 0)
        assert not said  # frozen again
        model[0].weight.requires_grad_(True)
        scheduler.policies.finish(True)
    assert len(said) == 1


@pytest.mark.parametrize("added", [False, True])
def test_a_layer_that_is_unfrozen_and_not_in_the_optimizer_does_not_train(added):
    model = models.mlp()
    model[0].weight.requires_grad_(False)
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    scheduler = CompressionScheduler(model, [Prune(Linear(0.5))], optimizer=optimizer, epochs=1)
    scheduler.epoch_begin()
    model[0].weight.requires_grad_(True)
    if added:
        optimizer.add_param_group({"params": [model[0].weight]})
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", NoEffect)
        scheduler.policies.finish(True)
    assert any("trained since" in str(one.message) for one in said) == added


def test_a_parameter_that_is_taken_away_and_was_never_chosen_ends_no_run():
    model = models.mlp()
    scheduler = CompressionScheduler(model, [Prune(Linear(0.5))], epochs=1)
    scheduler.epoch_begin()
    model[0].bias = None
    scheduler.epoch_end()
    assert scheduler.sparsity() == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("take", [nn.utils.parametrizations.orthogonal, lambda layer: setattr(layer, "weight", None)])
def test_a_chosen_parameter_that_is_taken_away_is_named(take):
    model = models.mlp()
    scheduler = CompressionScheduler(model, [Prune(OneShot(0.5))], epochs=2)
    scheduler.epoch_begin()
    take(model[0])
    with pytest.raises(RunError, match=r"^0\.weight is no parameter of the model any more"):
        scheduler.epoch_end()


def test_binding_changes_nothing():
    model = models.mlp()
    before = [parameter.detach().clone() for parameter in model.parameters()]
    store = MaskStore([])
    PruneMember(OneShot(0.9), select=Select(include=("0.*",))).bind(Site(model, None, store))
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True)) and len(store) == 0


def test_a_layer_that_is_gone_is_told_once():
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    model[0].weight.data.fill_(1e-3)
    scheduler = CompressionScheduler(model, [Prune(Linear(0.7))], epochs=4)
    with pytest.warns(LayerCollapse) as told:
        for _ in scheduler.epochs(4):
            pass
    assert len(told) == 1 and "nothing is left of 0.weight" in str(told[0].message)


@pytest.mark.parametrize(("level", "structure"), [(1.0, Element()), (1.0, Layer()), (0.5, Layer())], ids=str)
def test_a_layer_that_was_asked_for_goes_without_a_warning(level, structure):
    model = models.mlp()
    CompressionScheduler(model, [Prune(OneShot(level), structure=structure)], epochs=1).epoch_begin()
    assert sum(not model[at].weight.any() for at in (0, 2)) == 2 * level
