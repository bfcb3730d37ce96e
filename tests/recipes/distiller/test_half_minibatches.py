"""A run saved in the middle of a mini-batch goes on there, or begins the mini-batch again, to the same bits."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from torch import Tensor

from prunus.recipes import distiller
from prunus.recipes.distiller import DistillerScheduler
from tests.recipes.distiller.loops import BATCHES, batches, equal, loss_of, network, sgd, weights
from tests.recipes.distiller.test_callbacks import ARGS, name_of

EPOCHS = 3
SAVED = (1, 1)
pytestmark = pytest.mark.filterwarnings("ignore:.*use_double_copies:prunus.errors.NoEffect")


def ours(args: dict[str, Any]) -> DistillerScheduler:
    pruner = {"class": "AutomatedGradualPruner", "initial_sparsity": 0.1, "final_sparsity": 0.8, "weights": "4.weight"}
    policy = {
        "pruner": {"instance_name": "agp", "args": args},
        "starting_epoch": 0,
        "ending_epoch": EPOCHS,
        "frequency": 1,
    }
    model = network()
    source = {"pruners": {"agp": pruner}, "policies": [policy]}
    return distiller.load(model, sgd(model), source, steps_per_epoch=BATCHES, epochs=EPOCHS)


def stages(scheduler: DistillerScheduler, epoch: int, batch: int, data: list[Tensor]) -> list[Callable[[], Any]]:
    model, optimizer = scheduler.model, scheduler.optimizer
    place = (epoch, batch, BATCHES)

    def gradients() -> None:
        loss = scheduler.before_backward_pass(*place, loss_of(model, *data), optimizer)
        optimizer.zero_grad()
        loss.backward()

    return [
        lambda: scheduler.on_minibatch_begin(*place, optimizer),
        gradients,
        lambda: scheduler.before_parameter_optimization(*place, optimizer),
        optimizer.step,
        lambda: scheduler.on_minibatch_end(*place, optimizer),
    ]


def train(
    scheduler: DistillerScheduler, start: tuple[int, int, int], stop: tuple[int, int, int] | None
) -> list[Tensor]:
    """Do every stage from one place on, before another; the begin and end of epochs with their first and last ones."""
    for epoch in range(start[0], EPOCHS):
        if (epoch, 0, 0) >= start:
            scheduler.on_epoch_begin(epoch)
        for batch, *data in batches(epoch):
            for at, stage in enumerate(stages(scheduler, epoch, batch, data)):
                if (epoch, batch, at) == stop:
                    return weights(scheduler.model)
                if (epoch, batch, at) >= start:
                    stage()
        scheduler.on_epoch_end(epoch, metrics={"min": 1.0, "max": 0.5})
    return weights(scheduler.model)


def resumed(args: dict[str, Any], saved: int, again: bool) -> list[Tensor]:
    first, second = ours(args), ours(args)
    train(first, (0, 0, 0), (*SAVED, saved))
    state = copy.deepcopy((first.model.state_dict(), first.optimizer.state_dict(), first.state_dict()))
    for part, one in zip((second.model, second.optimizer, second), state, strict=True):
        part.load_state_dict(one)
    for mine, theirs in zip(second.model.parameters(), first.model.parameters(), strict=True):
        mine.grad = copy.deepcopy(theirs.grad)
    return train(second, (*SAVED, 0 if again else saved), None)


@pytest.mark.parametrize("args", ARGS, ids=name_of)
def test_it_goes_on_where_it_was(args: dict[str, Any]) -> None:
    whole = train(ours(args), (0, 0, 0), None)
    for saved in range(1, 5):
        assert equal([resumed(args, saved, again=False)], [whole])


@pytest.mark.parametrize("args", ARGS, ids=name_of)
def test_it_may_begin_again(args: dict[str, Any]) -> None:
    assert equal([resumed(args, 1, again=True)], [train(ours(args), (0, 0, 0), None)])
