"""Whole training runs through Distiller's callbacks equal a plain twin, for every argument of a policy."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from prunus.errors import RunError
from prunus.recipes import distiller
from prunus.recipes.distiller import DistillerScheduler, PrunerArgs, PruningPolicy
from prunus.recipes.distiller.pruners import AutomatedGradualPruner
from tests.recipes.distiller.loops import BATCHES, batches, equal, loss_of, minibatch, network, run, sgd, weights
from tests.twins.distiller import PlainDistiller, PlainPolicy, agp_level

EPOCHS = 7
ARGS: list[dict[str, Any]] = [
    {},
    {"keep_mask": True},
    {"mini_batch_pruning_frequency": 1},
    {"mini_batch_pruning_frequency": 2},
    {"mask_on_forward_only": True},
    {"mask_on_forward_only": True, "keep_mask": True},
    {"mask_on_forward_only": True, "mask_gradients": True},
    {"mask_on_forward_only": True, "mask_gradients": True, "keep_mask": True},
    {"mask_on_forward_only": True, "use_double_copies": True},
    {"mask_on_forward_only": True, "use_double_copies": True, "mini_batch_pruning_frequency": 1},
    {"use_double_copies": True},
    {"discard_masks_at_minibatch_end": True},
    {"discard_masks_at_minibatch_end": True, "mini_batch_pruning_frequency": 1},
    {"skip_first_minibatch": True},
    {"skip_first_minibatch": True, "mask_on_forward_only": True, "use_double_copies": True, "keep_mask": True},
]
WINDOWS = [(0, 5, 1), (1, 6, 2), (0, 4, 3)]
pytestmark = pytest.mark.filterwarnings("ignore:.*use_double_copies:prunus.errors.NoEffect")


def name_of(args: dict[str, Any]) -> str:
    return "+".join(f"{key}={value}" if key[:2] == "mi" else key for key, value in args.items()) or "defaults"


def plain(names: tuple[str, ...], window: tuple[int, int, int], args: dict[str, Any]) -> PlainPolicy:
    return PlainPolicy(names, tuple(range(*window)), lambda epoch: agp_level(epoch, 0.1, 0.8, *window), **args)


def twin_run(model: nn.Module, policies: list[PlainPolicy], epochs: int = EPOCHS) -> list[list[Tensor]]:
    optimizer = sgd(model)
    twin = PlainDistiller(dict(model.named_parameters()), policies)
    trace = []
    for epoch in range(epochs):
        with torch.no_grad():
            twin.on_epoch_begin(epoch)
        for batch, images, labels in batches(epoch):
            with torch.no_grad():
                twin.on_minibatch_begin(epoch, batch, BATCHES)
            optimizer.zero_grad()
            loss_of(model, images, labels).backward()
            with torch.no_grad():
                twin.after_backward()
                twin.before_parameter_optimization()
            optimizer.step()
            with torch.no_grad():
                twin.on_minibatch_end(epoch)
            trace.append(weights(model))
        with torch.no_grad():
            twin.on_epoch_end(epoch)
        trace.append(weights(model))
    return trace


def schedule(policies: list[tuple[tuple[str, ...], tuple[int, int, int], dict[str, Any]]]) -> dict[str, Any]:
    pruners = {
        f"p{at}": {
            "class": "AutomatedGradualPruner",
            "initial_sparsity": 0.1,
            "final_sparsity": 0.8,
            "weights": list(names),
        }
        for at, (names, _, _) in enumerate(policies)
    }
    lines = [
        {
            "pruner": {"instance_name": f"p{at}", "args": args},
            "starting_epoch": window[0],
            "ending_epoch": window[1],
            "frequency": window[2],
        }
        for at, (_, window, args) in enumerate(policies)
    ]
    return {"version": 1, "pruners": pruners, "policies": lines}


def ours(policies: list[tuple[tuple[str, ...], tuple[int, int, int], dict[str, Any]]]) -> DistillerScheduler:
    model = network()
    return distiller.load(model, sgd(model), schedule(policies))


@pytest.mark.parametrize("window", WINDOWS, ids=str)
@pytest.mark.parametrize("args", ARGS, ids=name_of)
def test_a_run_equals_the_plain_twin(args: dict[str, Any], window: tuple[int, int, int]) -> None:
    names = ("0.weight", "4.weight")
    assert equal(run(ours([(names, window, args)]), EPOCHS), twin_run(network(), [plain(names, window, args)]))


@pytest.mark.parametrize("args", ARGS, ids=name_of)
def test_the_flags_of_one_policy_leave_the_other_alone(args: dict[str, Any]) -> None:
    policies = [(("0.weight",), (0, 5, 1), args), (("4.weight",), (1, 7, 2), {})]
    assert equal(run(ours(policies), EPOCHS), twin_run(network(), [plain(*policy) for policy in policies]))


@pytest.mark.parametrize("args", [ARGS[0], ARGS[4], ARGS[8]], ids=name_of)
def test_a_later_policy_takes_a_parameter_over(args: dict[str, Any]) -> None:
    policies = [(("0.weight",), (0, 3, 1), {}), (("0.weight",), (4, 7, 2), args)]
    assert equal(run(ours(policies), EPOCHS), twin_run(network(), [plain(*policy) for policy in policies]))


def test_a_list_of_epochs_goes_by_the_place_in_it() -> None:
    model = network()
    scheduler = distiller.load(model, sgd(model))
    pruner = AutomatedGradualPruner(0.1, 0.8, "4.weight")
    scheduler.add_policy(PruningPolicy(pruner, PrunerArgs(mask_on_forward_only=True)), epochs=[0, 4, 5])
    levels = {0: 0.1, 4: 0.8 - 0.7 / 8, 5: 0.8}
    twin = PlainPolicy(("4.weight",), (0, 4, 5), lambda epoch: levels[epoch], mask_on_forward_only=True)
    assert equal(run(scheduler, EPOCHS), twin_run(network(), [twin]))


def test_masks_last_when_the_policy_is_over() -> None:
    scheduler = ours([(("4.weight",), (0, 2, 1), {})])
    run(scheduler, EPOCHS)
    assert int((scheduler.model[4].weight == 0).sum()) == 64


def test_without_keep_mask_forward_masks_end_with_the_policy() -> None:
    scheduler = ours([(("4.weight",), (0, 2, 1), {"mask_on_forward_only": True})])
    run(scheduler, EPOCHS)
    assert scheduler.sparsity() == 0.0


def test_keep_mask_acts_after_the_last_firing_whatever_the_frequency() -> None:
    scheduler = ours([(("4.weight",), (0, 4, 2), {"mask_on_forward_only": True, "keep_mask": True})])
    assert "acts after epoch 2" in " ".join(notice.message for notice in scheduler.notices)
    run(scheduler, EPOCHS)
    assert int((scheduler.model[4].weight == 0).sum()) == 64


def test_the_first_epoch_may_be_any() -> None:
    scheduler = ours([(("4.weight",), (0, 5, 1), {})])
    scheduler.on_epoch_begin(4)
    scheduler.on_minibatch_begin(4, 0, 1)
    assert scheduler.sparsity() == 0.8
    scheduler.on_epoch_end(4)
    with pytest.raises(RunError, match="epoch 7 was begun, expected 5"):
        scheduler.on_epoch_begin(7)


def test_a_plain_loop_runs_the_same_file() -> None:
    args = {"mask_on_forward_only": True, "use_double_copies": True}
    by_callbacks = run(ours([(("4.weight",), (0, 3, 1), args)]), 4)
    scheduler = ours([(("4.weight",), (0, 3, 1), args)])
    trace = []
    for epoch in scheduler.epochs(4):
        for _, images, labels in batches(epoch):
            scheduler.step_begin()
            scheduler.optimizer.zero_grad()
            scheduler.loss(loss_of(scheduler.model, images, labels)).backward()
            scheduler.optimizer.step()
            trace.append(weights(scheduler.model))
        trace.append(weights(scheduler.model))
    assert equal(trace, by_callbacks)


def test_a_plain_loop_that_does_not_begin_its_steps_is_told_so() -> None:
    scheduler = ours([(("4.weight",), (0, 5, 1), {"mask_on_forward_only": True})])
    scheduler.epoch_begin()
    scheduler.model(torch.rand(2, 1, 4, 4, dtype=torch.float64)).sum().backward()
    with pytest.raises(RunError, match=r"step_begin\(\)"):
        scheduler.optimizer.step()


def test_without_an_optimizer_the_callbacks_count_the_steps() -> None:
    model = network()
    scheduler = distiller.load(model, None, schedule([(("4.weight",), (0, 5, 1), {})]))
    optimizer = sgd(model)
    scheduler.on_epoch_begin(0)
    for batch, images, labels in batches(0):
        scheduler.on_minibatch_begin(0, batch, BATCHES, optimizer)
        optimizer.zero_grad()
        scheduler.before_backward_pass(0, batch, BATCHES, loss_of(model, images, labels)).backward()
        scheduler.before_parameter_optimization(0, batch, BATCHES, optimizer)
        optimizer.step()
        scheduler.on_minibatch_end(0, batch, BATCHES, optimizer)
    assert scheduler.step == BATCHES
    assert int((model[4].weight == 0).sum()) == 8


def test_another_optimizer_or_epoch_is_refused() -> None:
    scheduler = ours([(("4.weight",), (0, 5, 1), {})])
    with pytest.raises(RunError, match="another optimizer"):
        scheduler.on_epoch_begin(0, sgd(scheduler.model))
    scheduler.on_epoch_begin(0)
    with pytest.raises(RunError, match="epoch 1 was called in epoch 0"):
        scheduler.on_minibatch_begin(1, 0, 1)


def test_detaching_takes_the_hooks_off() -> None:
    scheduler = ours([(("4.weight",), (0, 5, 1), {"mask_on_forward_only": True, "mask_gradients": True})])
    scheduler.on_epoch_begin(0)
    weight = scheduler.model[4].weight
    weight.sum().backward()
    assert int((weight.grad == 0).sum()) == 8
    scheduler.detach()
    weight.grad = None
    weight.sum().backward()
    assert int((weight.grad == 0).sum()) == 0


def test_a_copy_goes_on_as_the_original_does() -> None:
    args = {"mask_on_forward_only": True, "mask_gradients": True, "keep_mask": True}
    scheduler = ours([(("4.weight",), (0, 3, 1), args)])
    run(scheduler, 1)
    copied = copy.deepcopy(scheduler)
    for one in (scheduler, copied):
        one.on_epoch_begin(1)
        for batch, images, labels in batches(1):
            minibatch(one, 1, batch, images, labels)
        one.on_epoch_end(1)
    assert copied.model is not scheduler.model
    assert equal([weights(copied.model)], [weights(scheduler.model)])


class TestResume:
    @pytest.mark.parametrize("args", ARGS, ids=name_of)
    def test_a_resumed_run_equals_an_uninterrupted_one(self, args: dict[str, Any]) -> None:
        policies = [(("0.weight",), (0, 5, 2), args), (("4.weight",), (1, 7, 2), {})]
        whole = run(ours(policies), EPOCHS)
        for stop in [(0, 0), (1, 1), (2, 2), (4, 1), (5, 0)]:
            assert equal([self.resumed(policies, stop)], [whole[-1]])

    def resumed(self, policies: list[Any], stop: tuple[int, int]) -> list[Tensor]:
        """Train, break off behind a mini-batch, and go on with everything made anew."""
        first = ours(policies)
        self.go_on(first, stop)
        second = ours(policies)
        second.model.load_state_dict(first.model.state_dict())
        second.optimizer.load_state_dict(first.optimizer.state_dict())
        second.load_state_dict(first.state_dict())
        self.go_on(second, None)
        return weights(second.model)

    def go_on(self, scheduler: DistillerScheduler, stop: tuple[int, int] | None) -> None:
        for epoch in range(scheduler.epoch, EPOCHS):
            done = scheduler.step_in_epoch
            if not done:
                scheduler.on_epoch_begin(epoch)
            for batch, images, labels in batches(epoch):
                if batch >= done:
                    minibatch(scheduler, epoch, batch, images, labels)
                if (epoch, batch) == stop:
                    return
            scheduler.on_epoch_end(epoch)


def test_parameters_that_were_replaced_after_a_policy_was_added_are_named() -> None:
    model = network()
    scheduler = DistillerScheduler(model, optimizer=sgd(model))
    pruner = AutomatedGradualPruner(0.1, 0.8, "0.weight")
    scheduler.add_policy(PruningPolicy(pruner), starting_epoch=0, ending_epoch=3, frequency=1)
    model.load_state_dict({name: value.clone() for name, value in model.state_dict().items()}, assign=True)
    with pytest.raises(RunError, match=r"^0\.weight: the model has other parameters than when the scheduler was built"):
        scheduler.on_epoch_begin(0)
