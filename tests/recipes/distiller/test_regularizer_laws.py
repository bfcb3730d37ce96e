"""Whole runs with every class of the section ``regularizers`` equal a plain twin; resumed ones do too."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from prunus.errors import NoEffect
from prunus.recipes import distiller
from prunus.recipes.distiller import DistillerScheduler
from prunus.recipes.distiller.regularizers import REGULARIZERS
from tests.recipes.distiller.loops import BATCHES, batches, loss_of, minibatch, run, sgd, weights
from tests.recipes.distiller.pruner_examples import convolutional
from tests.recipes.distiller.regularizer_examples import EXAMPLES, L1, LASSO, SUMS, VARIANCE, ours, schedule
from tests.twins.distiller import PlainDistiller, PlainPolicy, agp_level
from tests.twins.distiller_regularizers import PlainRegularizer

EPOCHS = 7
DOCS = Path(__file__).parents[3] / "docs" / "methods" / "distiller_regularizers.md"
KINDS = {L1: "l1", LASSO: "lasso", VARIANCE: "variance"}
CASES = [(name, at) for name, regimes in EXAMPLES.items() for at in range(len(regimes))]
WINDOWS = [(0, 5, 1), (1, 6, 2), (0, 4, 3)]
ARGS: list[tuple[str | None, bool]] = [
    (None, False), ("Max", False), ("Max", True), ("Mean_Abs", False), ("Mean_Abs", True)
]  # fmt: skip
cases = pytest.mark.parametrize(("name", "at"), CASES, ids=lambda one: str(one))
with_args = pytest.mark.parametrize(("criterion", "keep"), ARGS)


def twin_of(model: nn.Module, name: str, regimes: dict[str, Any], window: tuple[int, int, int], **more: Any) -> Any:
    plain = {key: (one[0], one[1]) if isinstance(one, list) else (one, "") for key, one in regimes.items()}
    return PlainRegularizer(dict(model.named_parameters()), KINDS[name], plain, tuple(range(*window)), **more)


def twin_run(model: nn.Module, terms: list[PlainRegularizer], pruners: list[PlainPolicy]) -> list[list[Tensor]]:
    optimizer = sgd(model)
    twin = PlainDistiller(dict(model.named_parameters()), pruners)
    trace = []
    for epoch in range(EPOCHS):
        with torch.no_grad():
            twin.on_epoch_begin(epoch)
        for batch, images, labels in batches(epoch):
            with torch.no_grad():
                twin.on_minibatch_begin(epoch, batch, BATCHES)
            optimizer.zero_grad()
            loss_of(model, images, labels).backward()
            with torch.no_grad():
                for term in terms:
                    term.after_backward(epoch)
                twin.after_backward()
                twin.before_parameter_optimization()
            optimizer.step()
            with torch.no_grad():
                for term in terms:
                    term.after_step()
                twin.on_minibatch_end(epoch)
                for term in terms:
                    term.on_minibatch_end(epoch)
            trace.append(weights(model))
        with torch.no_grad():
            for term in terms:
                term.on_epoch_end(epoch)
            twin.on_epoch_end(epoch)
        trace.append(weights(model))
    return trace


def close(found: list[list[Tensor]], wanted: list[list[Tensor]]) -> bool:
    """To 1e-10 of the weights, and with zeros in the same places."""
    pairs = [(a, b) for x, y in zip(found, wanted, strict=True) for a, b in zip(x, y, strict=True)]
    same = all(torch.equal(a == 0, b == 0) for a, b in pairs)
    return same and all(torch.allclose(a, b, rtol=1e-10, atol=1e-12) for a, b in pairs)


def zeros(snapshot: list[Tensor]) -> int:
    return sum(int((weight == 0).sum()) for weight in snapshot)


def go_on(scheduler: DistillerScheduler, stop: tuple[int, int] | None) -> None:
    """Train from where it stands until behind a mini-batch, or to the end."""
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


def test_there_is_an_example_of_every_class() -> None:
    assert list(EXAMPLES) == list(REGULARIZERS) == sorted(REGULARIZERS)


@pytest.mark.parametrize("name", REGULARIZERS)
def test_every_class_is_in_the_documentation(name: str) -> None:
    assert f"`{name}`" in DOCS.read_text(encoding="utf-8")


@pytest.mark.parametrize("window", WINDOWS, ids=str)
@with_args
@cases
def test_a_run_equals_the_plain_twin(
    name: str, at: int, criterion: str | None, keep: bool, window: tuple[int, int, int]
) -> None:
    regimes = EXAMPLES[name][at]
    before = json.dumps(regimes)
    found = run(ours(schedule(name, regimes, criterion, {"keep_mask": keep and criterion is not None}, window)), EPOCHS)
    model = convolutional()
    twin = twin_of(model, name, regimes, window, criterion=criterion, keep_mask=keep)
    assert close(found, twin_run(model, [twin], []))
    assert json.dumps(regimes) == before
    if criterion:
        assert any(map(zeros, found))
        last = (max(range(*window)) + 1) * (BATCHES + 1) - 1
        assert zeros(found[-1]) == (zeros(found[last]) if keep else 0)


@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_sums_of_groups_equal_the_plain_twin(window: tuple[int, int, int]) -> None:
    model = convolutional()
    wanted = twin_run(model, [twin_of(model, LASSO, SUMS, window)], [])
    assert close(run(ours(schedule(LASSO, SUMS, window=window)), EPOCHS), wanted)


@with_args
@pytest.mark.parametrize(
    "flags", [{}, {"mask_on_forward_only": True}, {"mask_on_forward_only": True, "keep_mask": True}]
)
def test_beside_a_pruner_of_the_same_weights(criterion: str | None, keep: bool, flags: dict[str, bool]) -> None:
    """The masks of both hold; neither puts the other's off."""
    regimes, window = EXAMPLES[LASSO][0], (0, 4, 1)
    source = schedule(LASSO, regimes, criterion, {"keep_mask": keep and criterion is not None}, window)
    gradual = {"class": "AutomatedGradualPruner", "initial_sparsity": 0.1, "final_sparsity": 0.5}
    source["pruners"] = {"gradual": {**gradual, "weights": ["conv1.weight", "fc.weight"]}}
    timing = {"starting_epoch": 1, "ending_epoch": 5, "frequency": 1}
    source["policies"].append({"pruner": {"instance_name": "gradual", "args": flags}, **timing})
    model = convolutional()
    term = twin_of(model, LASSO, regimes, window, criterion=criterion, keep_mask=keep)
    pruner = PlainPolicy(
        ("conv1.weight", "fc.weight"), (1, 2, 3, 4), lambda epoch: agp_level(epoch, 0.1, 0.5, 1, 5, 1), **flags
    )
    assert close(run(ours(source), EPOCHS), twin_run(model, [term], [pruner]))


def test_several_terms_add_up() -> None:
    """Two regularizers of one weight, in epochs of their own, in one file."""
    one, two = {"fc.weight": [0.05, "Rows"]}, {"fc.weight": 0.03}
    source = schedule(LASSO, one, "Max", {"keep_mask": True}, (0, 3, 1))
    other = schedule(L1, two, "Max", {}, (1, 6, 2))
    source["regularizers"]["other"] = other["regularizers"]["mine"]
    (policy,) = other["policies"]
    source["policies"].append({**policy, "regularizer": {"instance_name": "other", "args": {}}})
    model = convolutional()
    first = twin_of(model, LASSO, one, (0, 3, 1), criterion="Max", keep_mask=True)
    second = twin_of(model, L1, two, (1, 6, 2), criterion="Max")
    assert close(run(ours(source), EPOCHS), twin_run(model, [first, second], []))


@with_args
@cases
def test_a_resumed_run_equals_an_uninterrupted_one(name: str, at: int, criterion: str | None, keep: bool) -> None:
    source = schedule(name, EXAMPLES[name][at], criterion, {"keep_mask": keep and criterion is not None})
    whole = run(ours(source), EPOCHS)[-1]
    for stop in [(0, 1), (1, 0), (3, 1), (5, 2), (6, 0)]:
        first, second = ours(source), ours(source)
        go_on(first, stop)
        second.model.load_state_dict(first.model.state_dict())
        second.optimizer.load_state_dict(first.optimizer.state_dict())
        second.load_state_dict(first.state_dict())
        go_on(second, None)
        assert all(map(torch.equal, weights(second.model), whole))


@cases
def test_a_copy_goes_on_as_the_original_does(name: str, at: int) -> None:
    scheduler = ours(schedule(name, EXAMPLES[name][at], "Mean_Abs", {"keep_mask": True}))
    go_on(scheduler, (1, 1))
    copied = copy.deepcopy(scheduler)
    for one in (scheduler, copied):
        go_on(one, None)
    assert all(map(torch.equal, weights(copied.model), weights(scheduler.model)))


@cases
def test_code_and_file_give_equal_weights(name: str, at: int) -> None:
    regimes = EXAMPLES[name][at]
    by_file = run(ours(schedule(name, regimes, "Max")), 4)
    model = convolutional()
    by_code = distiller.load(model, sgd(model))
    by_code.add_policy(REGULARIZERS[name](regimes, "Max"), starting_epoch=1, ending_epoch=6, frequency=2)
    found = run(by_code, 4)
    assert all(map(torch.equal, found[-1], by_file[-1]))


@cases
def test_strength_0_changes_nothing(name: str, at: int) -> None:
    regimes = {key: [0.0, one[1]] if isinstance(one, list) else 0.0 for key, one in EXAMPLES[name][at].items()}
    with pytest.warns(NoEffect, match="strength 0 charges nothing") as said:
        scheduler = ours(schedule(name, regimes))
    assert len(said) == len(regimes)
    model = convolutional()
    assert all(map(torch.equal, run(scheduler, EPOCHS)[-1], twin_run(model, [], [])[-1]))
