"""What policies of regularizers, learning rates and extensions do at which callback, with the plainest of each kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from prunus.errors import CheckpointError, RecipeError
from prunus.recipes import distiller
from prunus.recipes.distiller import (
    DistillerScheduler,
    PolicyLoss,
    PrunerArgs,
    PruningPolicy,
    RegularizationPolicy,
    RegularizerArgs,
)
from prunus.recipes.distiller.contract import (
    Chosen,
    Extension,
    LRScheduler,
    Pruner,
    Rates,
    Regularizer,
    Rule,
    Scene,
    Verdict,
)
from prunus.recipes.distiller.pruners import AutomatedGradualPruner, SparsityLevelParameterPruner
from tests.recipes.distiller.loops import BATCHES, batches, minibatch, network, run, sgd, weights

NAME = "4.weight"


@dataclass(frozen=True)
class Pull(Regularizer):
    """λ times the sum of absolute weights; what is not above the threshold goes."""

    strength: float = 0.1
    threshold: float | None = None
    names: tuple[str, ...] = (NAME,)

    def penalty(self, chosen: Chosen) -> Tensor:
        return self.strength * chosen.all[0].parameter.abs().sum()

    @property
    def thresholds(self) -> bool:
        return self.threshold is not None

    def keep(self, chosen: Chosen) -> Mapping[str, Tensor]:
        return {NAME: chosen.all[0].parameter.detach().abs() > self.threshold}


@dataclass(frozen=True)
class Halving(LRScheduler):
    """The rate of epoch e is 1/2^e; remembers what it was told."""

    told: list[Any] = field(default_factory=list)

    def rates(self, optimizer: torch.optim.Optimizer) -> Rates:
        return HalvingRates(optimizer, self.told)


@dataclass
class HalvingRates(Rates):
    optimizer: torch.optim.Optimizer
    told: list[Any]

    def step(self, epoch: int, metrics: Mapping[str, float] | None) -> None:
        self.told.append((epoch, metrics))
        self.optimizer.param_groups[0]["lr"] = 0.5**epoch


@dataclass(frozen=True)
class Note(Extension):
    """Write down how many weights the masks prune."""

    seen: list[int] = field(default_factory=list)

    def act(self, model: nn.Module, optimizer: torch.optim.Optimizer | None, masks: Mapping[str, Tensor]) -> None:
        self.seen.append(sum(int((~mask).sum()) for mask in masks.values()))


@dataclass(frozen=True)
class DropNegative(Pruner):
    """Drop what has a negative gradient; scale what is left."""

    scale: float = 1.0
    needs_gradient = True
    names: tuple[str, ...] = (NAME,)

    def rule(self, chosen: Chosen, span: Any, model: nn.Module) -> Rule:
        return _DropNegative(chosen, self.scale)


@dataclass
class _DropNegative(Rule):
    chosen: Chosen
    scale: float

    def masks(self, scene: Scene) -> Mapping[str, Verdict]:
        (target,) = self.chosen.all
        return {target.name: Verdict(target.parameter.grad >= 0, self.scale)}


def empty() -> DistillerScheduler:
    model = network()
    return distiller.load(model, sgd(model))


def weight_of(scheduler: DistillerScheduler) -> Tensor:
    return scheduler.model[4].weight


class TestRegularizers:
    def test_the_loss_and_its_components(self) -> None:
        scheduler = empty()
        scheduler.add_policy(Pull(), epochs=[0])
        scheduler.add_policy(Pull(0.5), epochs=[0, 1])
        scheduler.on_epoch_begin(0)
        task = torch.tensor(1.0, dtype=torch.float64)
        size = float(weight_of(scheduler).detach().abs().sum())
        found = scheduler.before_backward_pass(0, 0, 1, task, return_loss_components=True)
        assert isinstance(found, PolicyLoss)
        assert [name for name, _ in found.loss_components] == ["Pull_loss", "Pull_loss"]
        assert [float(value) for _, value in found.loss_components] == pytest.approx([0.1 * size, 0.5 * size], 1e-12)
        assert float(found.overall_loss.detach()) == pytest.approx(1 + 0.6 * size, 1e-12)
        assert torch.equal(scheduler.before_backward_pass(0, 0, 1, task), found.overall_loss)

    def test_no_active_policy_leaves_the_loss(self) -> None:
        scheduler = empty()
        scheduler.add_policy(Pull(), starting_epoch=1, ending_epoch=4, frequency=2)
        loss = torch.tensor(1.0)
        values = []
        for epoch in range(5):
            scheduler.on_epoch_begin(epoch)
            values.append(scheduler.before_backward_pass(epoch, 0, 1, loss) is loss)
            scheduler.on_epoch_end(epoch)
        assert values == [True, False, True, False, True]
        assert scheduler.before_backward_pass(5, 0, 1, loss, return_loss_components=True) == PolicyLoss(loss, [])

    @pytest.mark.parametrize("keep", [True, False])
    def test_what_a_threshold_removes_stays_removed_only_if_kept(self, keep: bool) -> None:
        scheduler = empty()
        policy = RegularizationPolicy(Pull(threshold=0.1), RegularizerArgs(keep_mask=keep))
        scheduler.add_policy(policy, starting_epoch=0, ending_epoch=3, frequency=2)
        trace = run(scheduler, 5)
        after_epoch = [int((snapshot[4] == 0).sum()) for snapshot in trace[BATCHES :: BATCHES + 1]]
        assert after_epoch[0] > 0
        assert after_epoch[1] == 0  # in an epoch without the policy weights grow again
        assert after_epoch[2] > 0
        assert (after_epoch[4] == after_epoch[2]) == keep

    def test_a_threshold_leaves_a_pruners_mask_alone(self) -> None:
        scheduler = empty()
        scheduler.add_policy(AutomatedGradualPruner(0.1, 0.5, NAME), epochs=[0, 1])
        policy = RegularizationPolicy(Pull(threshold=0.1), RegularizerArgs(keep_mask=True))
        scheduler.add_policy(policy, epochs=[0, 1])
        run(scheduler, 2)
        both = (~scheduler.masks[NAME]).sum()
        pruner = scheduler.policies[0].bound
        own = (~scheduler.masks.layers("pruner", pruner.owner)[NAME].mask).sum()
        assert int(own) == 40
        assert int(both) > 40
        scheduler.on_epoch_begin(2)
        for batch, images, labels in batches(2):
            minibatch(scheduler, 2, batch, images, labels)
        assert int((weight_of(scheduler) == 0).sum()) == int(both)


class TestRates:
    def test_they_are_set_at_the_end_of_firing_epochs_for_the_next(self) -> None:
        scheduler = empty()
        halving = Halving()
        scheduler.add_policy(halving, starting_epoch=2, ending_epoch=5, frequency=2)
        rates = []
        for epoch in range(7):
            scheduler.on_epoch_begin(epoch)
            rates.append(scheduler.optimizer.param_groups[0]["lr"])
            scheduler.on_epoch_end(epoch, metrics={"min": float(epoch)})
        assert rates == [0.05, 0.05, 0.05, 0.125, 0.125, 0.03125, 0.03125]
        assert halving.told == [(3, {"min": 2.0}), (5, {"min": 4.0})]
        assert [row["lr"] for row in scheduler.history] == rates

    def test_they_come_last_wherever_they_stand(self) -> None:
        scheduler = empty()
        scheduler.add_policy(Halving(), epochs=[0])
        scheduler.add_policy(Pull(), epochs=[0])
        assert [policy.policy.action.title for policy in scheduler.policies] == ["Pull", "Halving"]

    def test_two_of_them_in_one_stretch_are_an_error(self) -> None:
        scheduler = empty()
        scheduler.add_policy(Halving(), epochs=[0, 4])
        scheduler.add_policy(Halving(), epochs=[5])
        with pytest.raises(RecipeError, match=r"policies\[0\] and policies\[2\] both set the learning rate"):
            scheduler.add_policy(Halving(), epochs=[2])

    def test_they_need_an_optimizer(self) -> None:
        with pytest.raises(RecipeError, match="Halving needs an optimizer"):
            distiller.load(network(), None).add_policy(Halving(), epochs=[0])


class TestExtensions:
    def test_they_act_once_an_epoch_when_the_masks_are_there(self) -> None:
        scheduler = empty()
        note = Note()
        scheduler.add_policy(AutomatedGradualPruner(0.1, 0.5, NAME), epochs=[0, 2, 3])
        scheduler.add_policy(note, epochs=[0, 3])
        run(scheduler, 5)
        assert note.seen == [8, 40]


class TestGradients:
    def test_a_pruner_that_needs_them_waits_for_those_of_the_mini_batch(self) -> None:
        scheduler = empty()
        scheduler.add_policy(DropNegative(), epochs=[1])
        run(scheduler, 1)
        scheduler.on_epoch_begin(1)
        assert NAME not in scheduler.masks
        ((batch, images, labels), *_) = batches(1)
        minibatch(scheduler, 1, batch, images, labels)
        assert torch.equal(~scheduler.masks[NAME], weight_of(scheduler).grad < 0)
        assert torch.equal(weight_of(scheduler) == 0, weight_of(scheduler).grad < 0)


class TestScale:
    @pytest.mark.parametrize(("copies", "factor"), [(True, 2.0), (False, 1.0)])
    @pytest.mark.filterwarnings("ignore:.*use_double_copies:prunus.errors.NoEffect")
    def test_it_acts_in_the_forward_pass_of_double_copies_alone(self, copies: bool, factor: float) -> None:
        scheduler = empty()
        args = PrunerArgs(use_double_copies=copies, mask_on_forward_only=True)
        scheduler.add_policy(PruningPolicy(DropNegative(scale=2.0), args), epochs=[0])
        scheduler.on_epoch_begin(0)
        ((batch, images, labels), *_) = batches(0)
        minibatch(scheduler, 0, batch, images, labels)
        dense = weight_of(scheduler).detach().clone()
        kept = weight_of(scheduler).grad >= 0
        scheduler.on_minibatch_begin(0, 1, BATCHES)
        assert torch.equal(weight_of(scheduler).detach(), dense * kept * factor)
        scheduler.before_parameter_optimization(0, 1, BATCHES, scheduler.optimizer)
        assert torch.equal(weight_of(scheduler).detach(), dense if copies else dense * kept)


class TestState:
    def test_a_state_of_other_policies_is_refused(self) -> None:
        one, other = empty(), empty()
        one.add_policy(Pull(), epochs=[0])
        other.add_policy(AutomatedGradualPruner(0.1, 0.5, NAME), epochs=[0, 1])
        with pytest.raises(CheckpointError, match="has policies"):
            other.load_state_dict(one.state_dict())

    def test_it_loads_with_weights_only(self, tmp_path: Any) -> None:
        scheduler = empty()
        scheduler.add_policy(AutomatedGradualPruner(0.1, 0.5, NAME), epochs=[0, 1])
        run(scheduler, 1)
        torch.save(scheduler.state_dict(), tmp_path / "state.pt")
        again = empty()
        again.add_policy(AutomatedGradualPruner(0.1, 0.5, NAME), epochs=[0, 1])
        again.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
        assert torch.equal(again.masks[NAME], scheduler.masks[NAME])
        assert equal_layers(again, scheduler)

    def test_nothing_changes_without_policies(self) -> None:
        scheduler, plain = empty(), network()
        run(scheduler, 2)
        optimizer = sgd(plain)
        for epoch in range(2):
            for _, images, labels in batches(epoch):
                optimizer.zero_grad()
                nn.functional.cross_entropy(plain(images), labels).backward()
                optimizer.step()
        assert all(torch.equal(a, b) for a, b in zip(weights(plain), weights(scheduler.model), strict=True))


def equal_layers(one: DistillerScheduler, other: DistillerScheduler) -> bool:
    bounds = (one.policies[0].bound, other.policies[0].bound)
    mine, theirs = (s.masks.layers("pruner", b.owner)[NAME] for s, b in zip((one, other), bounds, strict=True))
    return torch.equal(mine.mask, theirs.mask) and mine.enforced == theirs.enforced


class TestLevels:
    def test_levels_of_a_policy_are_its_own(self) -> None:
        scheduler = empty()
        pruner = SparsityLevelParameterPruner({NAME: 0.25})
        scheduler.add_policy(pruner, epochs=[0])
        scheduler.add_policy(PruningPolicy(pruner, PrunerArgs(levels={NAME: 0.5})), epochs=[1])
        zeros = []
        for epoch in range(2):
            scheduler.on_epoch_begin(epoch)
            zeros.append(int((weight_of(scheduler) == 0).sum()))
            scheduler.on_epoch_end(epoch)
        assert zeros == [20, 40]
        assert pruner.levels == {NAME: 0.25}
