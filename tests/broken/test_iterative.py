"""Planted wrong pruners and rewinders, most of them seen in the wild: each must fail the law it breaks."""

import copy

import pytest
import torch

from prunus.iterative import MagnitudePruner, Rewinder
from tests.laws import iterative as laws


class ByThreshold(MagnitudePruner):
    """Keeps all that is at or above the k-th smallest: one short, and on ties far short."""

    def prune_layer(self, layer, layer_name="", sparsity=None, verbose=True):
        flat = layer.weight.detach().abs().flatten()
        k = int(len(flat) * sparsity)
        keep = layer.weight.abs() >= (flat.kthvalue(k).values if k else 0.0)
        layer.weight.data *= keep
        return int((~keep).sum())


class LastOfEquals(MagnitudePruner):
    def prune_layer(self, layer, layer_name="", sparsity=None, verbose=True):
        order = layer.weight.detach().abs().flatten().flip(0).sort(stable=True, descending=True).indices
        keep = torch.zeros(len(order), dtype=torch.bool)
        keep[order[: len(order) - int(sparsity * len(order))]] = True
        layer.weight.data *= keep.flip(0).reshape(layer.weight.shape)
        return int((~keep).sum())


class Forgets(MagnitudePruner):
    """Ranks all weights anew, the dead among them."""

    def prune_model(self, model, layer_names=None, sparsity=None, verbose=True):
        self._masks = type(self._masks)()
        return super().prune_model(model, layer_names, sparsity, verbose)


class StrictlyAbove(MagnitudePruner):
    def _decision(self, sparsity):
        rule, asked = super()._decision(sparsity)
        return rule, asked * (1 + 1e-6) if rule == "threshold" else asked


@pytest.mark.parametrize(
    ("law", "wrong"),
    [
        (laws.law_exact, ByThreshold),
        (laws.law_ties_keep_the_first, LastOfEquals),
        (laws.law_monotone, Forgets),
        (laws.law_threshold_keeps_its_equal, StrictlyAbove),
    ],
)
@pytest.mark.filterwarnings("ignore::prunus.errors.LayerCollapse")
def test_a_wrong_pruner_is_caught(law, wrong):
    with pytest.raises(AssertionError):
        law(wrong)


class Aliases(Rewinder):
    """Keeps the live tensors, which training then changes."""

    def capture(self, model, optimizer=None, lr_scheduler=None):
        super().capture(model, optimizer, lr_scheduler)
        self._point["model"] = model.state_dict()


class WeightsOnly(Rewinder):
    """Forgets the optimizer's moments."""

    def restore(self, model, optimizer=None, lr_scheduler=None):
        moments = copy.deepcopy(optimizer.state_dict()["state"])
        super().restore(model, optimizer, lr_scheduler)
        optimizer.load_state_dict({**optimizer.state_dict(), "state": moments})


class ScheduleWithoutRate(Rewinder):
    """Winds the schedule's clock back and leaves the learning rate, which chained schedules then multiply on."""

    def restore(self, model, optimizer=None, lr_scheduler=None):
        rate = optimizer.param_groups[0]["lr"]
        super().restore(model, optimizer, lr_scheduler)
        optimizer.param_groups[0]["lr"] = rate


class Always(Rewinder):
    def __init__(self, rewind=None):
        super().__init__(rewind or "weights")


@pytest.mark.parametrize(
    ("law", "wrong"),
    [
        (laws.law_weights_go_back_every_time, Aliases),
        (laws.law_weights_go_back_every_time, WeightsOnly),
        (laws.law_lr_moves_the_schedule_alone, ScheduleWithoutRate),
        (laws.law_none_changes_nothing, Always),
    ],
)
def test_a_wrong_rewinder_is_caught(law, wrong):
    with pytest.raises(AssertionError):
        law(wrong)
