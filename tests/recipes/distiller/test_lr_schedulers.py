"""What holds for every class of the section ``lr_schedulers``: rates, trajectories, resume, documentation."""

from __future__ import annotations

import copy
import inspect
import io
import json
import math
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import lr_scheduler

from prunus.recipes.distiller import DistillerScheduler
from prunus.recipes.distiller.lr_schedulers import LR_SCHEDULERS, REFUSED
from tests.recipes.distiller.loops import batches, equal, minibatch, network, sgd, weights
from tests.recipes.distiller.lr_examples import EXAMPLES, IN_CODE, METRICS, ours
from tests.twins import distiller_rates as twins

EPOCHS = len(METRICS)
FIRING = [1, 3, 5, 7]
DOCS = Path(__file__).parents[3] / "docs" / "methods" / "distiller_lr_schedulers.md"
every = pytest.mark.parametrize("name", LR_SCHEDULERS)


def go_on(scheduler: DistillerScheduler, stop: tuple[int, int] | None = None) -> list[float]:
    """Train from where it stands until behind a mini-batch, or to the end; return the rate of each epoch begun."""
    seen = []
    for epoch in range(scheduler.epoch, EPOCHS):
        done = scheduler.step_in_epoch
        if not done:
            scheduler.on_epoch_begin(epoch)
            seen.append(scheduler.optimizer.param_groups[0]["lr"])
        for batch, images, labels in batches(epoch):
            if batch >= done:
                minibatch(scheduler, epoch, batch, images, labels)
            if (epoch, batch) == stop:
                return seen
        scheduler.on_epoch_end(epoch, scheduler.optimizer, metrics=METRICS[epoch])
    return seen


def by_hand(rates: list[float], momenta: list[float]) -> list[Tensor]:
    """Train without any scheduler at these rates."""
    model = network()
    optimizer = sgd(model)
    for epoch, (rate, momentum) in enumerate(zip(rates, momenta, strict=True)):
        optimizer.param_groups[0].update(lr=rate, momentum=momentum)
        for _, images, labels in batches(epoch):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(images), labels).backward()
            optimizer.step()
    return weights(model)


def momenta_of(name: str) -> list[float]:
    """The momentum of each epoch: as the rate does, the other way, in the two classes that move it."""
    last = [max([e + 1 for e in FIRING if e < epoch], default=0) for epoch in range(EPOCHS)]
    rate = {
        "CyclicLR": lambda: twins.cyclic(0.9, 0.8, 2, 3, "triangular2"),
        "OneCycleLR": lambda: _mirrored(twins.one_cycle(0.1, 9, 0.4, math.inf, math.inf), 0.95, 0.85, 0.1),
    }.get(name, lambda: lambda base, epoch: 0.9)()
    return [rate(0.0, epoch) for epoch in last]


def _mirrored(rate: twins.Rate, high: float, low: float, peak: float) -> twins.Rate:
    return lambda base, epoch: high - (high - low) * rate(base, epoch) / peak


def test_there_is_an_example_of_every_class() -> None:
    assert list(EXAMPLES) == list(LR_SCHEDULERS) == sorted(LR_SCHEDULERS)


@every
def test_every_class_is_in_the_documentation(name: str) -> None:
    assert f"`{name}`" in DOCS.read_text(encoding="utf-8")


def test_every_scheduler_of_torch_is_there_or_refused_with_a_reason() -> None:
    kinds = [one for one in vars(lr_scheduler).values() if inspect.isclass(one)]
    known = {one.__name__ for one in kinds if issubclass(one, lr_scheduler.LRScheduler)}
    assert known - {"LRScheduler", "_LRScheduler"} <= {*LR_SCHEDULERS, *REFUSED}


@pytest.mark.parametrize("name", sorted(set(LR_SCHEDULERS) - {"MultiStepMultiGammaLR", "PolynomialLR"}))
def test_arguments_and_defaults_are_those_of_torch(name: str) -> None:
    theirs = {
        one.name: one.default
        for one in inspect.signature(getattr(lr_scheduler, name)).parameters.values()
        if one.name not in ("optimizer", "last_epoch")
    }
    mine = {one.name: inspect.Parameter.empty if one.default is MISSING else one.default for one in
            fields(LR_SCHEDULERS[name])}  # fmt: skip
    assert {key: mine[key] for key in theirs} == theirs
    assert set(mine) - set(theirs) <= {"relative", "verbose", "metric"}


@every
def test_rates_by_the_epoch_are_those_of_the_twin(name: str) -> None:
    scheduler = ours(name, EXAMPLES[name])
    expected = twins.rates(name, EXAMPLES[name], 0.05, FIRING, [one["min"] for one in METRICS])
    assert go_on(scheduler) == pytest.approx(expected, rel=1e-12)
    assert len({round(rate, 12) for rate in expected}) > 1, "the example shows nothing"
    assert [row["lr"] for row in scheduler.history] == pytest.approx(expected, rel=1e-12)


@every
def test_training_through_the_callbacks_equals_a_plain_loop(name: str) -> None:
    scheduler = ours(name, EXAMPLES[name])
    go_on(scheduler)
    expected = by_hand([row["lr"] for row in scheduler.history], momenta_of(name))
    for mine, theirs in zip(weights(scheduler.model), expected, strict=True):
        assert torch.allclose(mine, theirs, rtol=1e-12, atol=1e-14)


def resumed(name: str, settings: dict[str, Any], stop: tuple[int, int]) -> list[Tensor]:
    first, second = ours(name, settings), ours(name, settings)
    go_on(first, stop)
    file = io.BytesIO()
    torch.save([one.state_dict() for one in (first.model, first.optimizer, first)], file)
    file.seek(0)
    states = torch.load(file, weights_only=True)
    for one, state in zip((second.model, second.optimizer, second), states, strict=True):
        one.load_state_dict(state)
    go_on(second)
    assert [row["lr"] for row in second.history][: stop[0]] == [row["lr"] for row in first.history]
    return weights(second.model)


@every
@pytest.mark.parametrize("relative", [False, True])
def test_a_resumed_run_equals_an_uninterrupted_one(name: str, relative: bool) -> None:
    settings = {**EXAMPLES[name], **({"relative": True} if relative and name != "ReduceLROnPlateau" else {})}
    whole = ours(name, settings)
    go_on(whole)
    for stop in [(0, 1), (1, 0), (4, 2), (7, 1), (9, 0)]:
        assert equal([resumed(name, settings, stop)], [weights(whole.model)])


@every
def test_a_copy_goes_on_as_the_original_does(name: str) -> None:
    scheduler = ours(name, EXAMPLES[name])
    go_on(scheduler, (3, 1))
    copied = copy.deepcopy(scheduler)
    assert go_on(copied) == go_on(scheduler)
    assert equal([weights(copied.model)], [weights(scheduler.model)])


@every
def test_loading_changes_neither_the_optimizer_nor_what_it_was_given(name: str) -> None:
    before = None if name in IN_CODE else json.dumps(EXAMPLES[name])
    scheduler = ours(name, EXAMPLES[name])
    (group,) = scheduler.optimizer.param_groups
    assert (group["lr"], group["momentum"]) == (0.05, 0.9)
    assert before is None or json.dumps(EXAMPLES[name]) == before
