"""Thinning extensions load and run, and say loudly that nothing is removed yet, and what would be."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from prunus.errors import NoEffect, RecipeError
from prunus.recipes import distiller
from prunus.recipes.distiller import DistillerScheduler
from prunus.recipes.distiller.extensions import EXTENSIONS
from prunus.recipes.distiller.thinning import MISSING, empty_slices
from tests.recipes.distiller.loops import batches, equal, minibatch, run, sgd, weights
from tests.recipes.distiller.pruner_examples import convolutional

DOCS = Path(__file__).parents[3] / "docs" / "distiller.md"
FUNCTIONS = {
    "ChannelRemover": "remove_channels",
    "FilterRemover": "remove_filters",
    "StructureRemover": "remove_filters",
}
GROUPS = {"remove_filters": "Filters", "remove_channels": "Channels"}
every = pytest.mark.parametrize("name", EXTENSIONS)


def schedule(name: str, settings: dict[str, Any]) -> dict[str, Any]:
    """A pruner of half of conv2's structures in epoch 1, and an extension in epochs 0 and 1."""
    group = GROUPS.get(settings.get("thinning_func_str", ""), "Filters")
    pruner = {"class": "L1RankedStructureParameterPruner", "group_type": group, "desired_sparsity": 0.5}
    return {
        "pruners": {"half": {**pruner, "weights": "conv2.weight"}},
        "extensions": {"thin": {"class": name, **settings}},
        "policies": [
            {"pruner": {"instance_name": "half"}, "epochs": [1]},
            {"extension": {"instance_name": "thin"}, "epochs": [0, 1]},
        ],
    }


def loaded(name: str, **settings: Any) -> DistillerScheduler:
    model = convolutional()
    with pytest.warns(NoEffect, match=MISSING):
        return distiller.load(model, sgd(model), schedule(name, settings))


def test_the_registry_is_sorted_and_documented() -> None:
    assert list(EXTENSIONS) == sorted(EXTENSIONS) == list(FUNCTIONS)
    assert all(f"`{name}`" in DOCS.read_text(encoding="utf-8") for name in EXTENSIONS)


@every
def test_it_says_when_it_is_loaded_and_when_it_acts_that_nothing_is_removed(name: str) -> None:
    scheduler = loaded(name, thinning_func_str=FUNCTIONS[name])
    kind = FUNCTIONS[name].removeprefix("remove_")
    with pytest.warns(NoEffect) as said:
        run(scheduler, 2)
    assert [str(one.message) for one in said] == [
        f"{name}: no {kind} are masked altogether",
        f"{name}: {MISSING}; 2 of 4 {kind} of conv2.weight stay as zeros",
    ]


@every
@pytest.mark.filterwarnings("ignore::prunus.errors.NoEffect")
def test_training_is_that_without_it(name: str) -> None:
    source = schedule(name, {"thinning_func_str": FUNCTIONS[name]})
    traces = []
    for policies in (source["policies"], source["policies"][:1]):
        model = convolutional()
        traces.append(run(distiller.load(model, sgd(model), {**source, "policies": policies}), 3))
    assert equal(traces[0], traces[1])


@every
@pytest.mark.filterwarnings("ignore::prunus.errors.NoEffect")
def test_a_resumed_run_still_acts_and_equals_an_uninterrupted_one(name: str) -> None:
    first, second = (loaded(name, thinning_func_str=FUNCTIONS[name]) for _ in range(2))
    run(first, 1)
    first.on_epoch_begin(1)
    for one, other in ((second.model, first.model), (second.optimizer, first.optimizer), (second, first)):
        one.load_state_dict(copy.deepcopy(other.state_dict()))
    for scheduler in (first, second):
        with pytest.warns(NoEffect, match=f"{name}: {MISSING}; 2 of 4") as said:
            for batch, images, labels in batches(1):
                minibatch(scheduler, 1, batch, images, labels)
        assert len(said) == 1
    assert equal([weights(first.model)], [weights(second.model)])


def test_an_unknown_function_is_refused_at_its_line() -> None:
    text = "extensions:\n  thin: {class: FilterRemover, thinning_func_str: remove_filter}\npolicies:\n"
    text += "  - extension: {instance_name: thin}\n    epochs: [0]"
    model = convolutional()
    message = "<text>:2:51: thinning_func_str is 'remove_filter', which is unknown. Did you mean 'remove_filters'"
    with pytest.raises(RecipeError, match=message):
        distiller.load(model, sgd(model), text)


def test_what_changes_nothing_or_goes_by_another_name_is_said() -> None:
    scheduler = loaded("FilterRemover", thinning_func_str="remove_channels", arch="resnet20_cifar", dataset="cifar10")
    said = " ".join(fault.message for fault in scheduler.notices)
    assert "arch and dataset change nothing" in said
    assert "FilterRemover with remove_channels goes by the function, as in Distiller" in said


@given(st.integers(1, 4), st.integers(1, 4), st.integers(0, 2**32 - 1), st.integers(0, 1))
def test_empty_slices_are_those_that_a_loop_finds(filters: int, channels: int, seed: int, dimension: int) -> None:
    mask = torch.rand(filters, channels, 2, 1, generator=torch.Generator().manual_seed(seed)) > 0.7
    slices: list[Tensor] = list(mask) if dimension == 0 else [mask[:, at] for at in range(channels)]
    expected = tuple(at for at, one in enumerate(slices) if not one.any())
    found = empty_slices({"conv.weight": mask, "fc.weight": torch.zeros(3, 3, dtype=torch.bool)}, dimension)
    assert [(one.places, one.total) for one in found] == ([(expected, len(slices))] if expected else [])
