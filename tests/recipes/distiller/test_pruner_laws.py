"""What holds for every class of the section ``pruners``."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from prunus.errors import RecipeError
from prunus.recipes import distiller
from prunus.recipes.distiller import DistillerScheduler
from prunus.recipes.distiller.pruners import PRUNERS
from tests.recipes.distiller.loops import batches, equal, minibatch, run, weights
from tests.recipes.distiller.pruner_examples import EXAMPLES, convolutional, ours, schedule

EPOCHS = 7
DOCS = Path(__file__).parents[3] / "docs" / "methods" / "distiller_pruners.md"
FORWARD: dict[str, Any] = {
    "mask_on_forward_only": True,
    "use_double_copies": True,
    "mini_batch_pruning_frequency": 2,
    "discard_masks_at_minibatch_end": True,
}
every = pytest.mark.parametrize("name", PRUNERS)


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


def resumed(name: str, args: dict[str, Any], stop: tuple[int, int]) -> list[Tensor]:
    first, second = ours(name, EXAMPLES[name], args), ours(name, EXAMPLES[name], args)
    go_on(first, stop)
    second.model.load_state_dict(first.model.state_dict())
    second.optimizer.load_state_dict(first.optimizer.state_dict())
    second.load_state_dict(first.state_dict())
    go_on(second, None)
    return weights(second.model)


def test_there_is_an_example_of_every_class() -> None:
    assert list(EXAMPLES) == list(PRUNERS) == sorted(PRUNERS)


@every
def test_every_class_is_in_the_documentation(name: str) -> None:
    assert f"`{name}`" in DOCS.read_text(encoding="utf-8")


@every
def test_it_loads_and_prunes(name: str) -> None:
    settings = EXAMPLES[name]
    before = json.dumps(settings)
    scheduler = ours(name, settings)
    run(scheduler, EPOCHS)
    masks = {parameter: scheduler.masks[parameter] for parameter in scheduler.masks}
    assert not all(mask.all() for mask in masks.values()) and json.dumps(settings) == before
    for parameter, mask in masks.items():
        assert not scheduler.model.get_parameter(parameter)[~mask].any()


@every
@pytest.mark.parametrize("args", [{}, FORWARD], ids=["defaults", "forward"])
def test_a_resumed_run_equals_an_uninterrupted_one(name: str, args: dict[str, Any]) -> None:
    whole = run(ours(name, EXAMPLES[name], args), EPOCHS)[-1]
    for stop in [(0, 1), (1, 0), (3, 1), (5, 2)]:
        assert equal([resumed(name, args, stop)], [whole])


@every
def test_a_copy_goes_on_as_the_original_does(name: str) -> None:
    scheduler = ours(name, EXAMPLES[name])
    go_on(scheduler, (0, 2))
    copied = copy.deepcopy(scheduler)
    for one in (scheduler, copied):
        go_on(one, None)
    assert equal([weights(copied.model)], [weights(scheduler.model)])


@every
def test_what_is_drawn_comes_from_its_own_seed(name: str) -> None:
    whole = run(ours(name, EXAMPLES[name]), EPOCHS)[-1]
    other = ours(name, EXAMPLES[name])
    torch.manual_seed(99)
    assert equal([run(other, EPOCHS)[-1]], [whole])


@every
def test_it_names_what_the_model_lacks(name: str) -> None:
    text = json.dumps(schedule(name, EXAMPLES[name])).replace("fc.weight", "fc.weigth").replace("conv2.w", "conv3.w")
    with pytest.raises(RecipeError, match=r"the model has no parameter '(fc\.weigth|conv3\.weight)'"):
        distiller.load(convolutional(), None, json.loads(text))


@every
def test_after_closing_no_hook_is_left(name: str) -> None:
    scheduler = ours(name, EXAMPLES[name])
    run(scheduler, 2)
    scheduler.detach()
    assert not any(module._forward_hooks for module in scheduler.model.modules())
