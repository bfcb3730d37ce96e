"""The small networks: counts from the literature, shapes, seeds."""

from __future__ import annotations

import pytest
import torch

from prunus.errors import SettingError
from prunus.tasks.vision import MODELS, build

WEIGHTS = {
    "bregman_cnn": (1600, 102_400, 131_072, 1280),
    "lenet5": (500, 25_000, 400_000, 5_000),
    "lenet_300_100": (235_200, 30_000, 1_000),
}


def test_every_model_is_counted() -> None:
    assert sorted(MODELS) == list(MODELS) == sorted(WEIGHTS)


@pytest.mark.parametrize("name", MODELS)
def test_weights_and_shapes(name: str) -> None:
    model = build(name)
    assert tuple(p.numel() for key, p in model.named_parameters() if key.endswith("weight")) == WEIGHTS[name]
    assert model(torch.zeros(2, 1, 28, 28)).shape == (2, 10)


def test_a_seed_decides_the_weights_and_leaves_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    one, same, other = (build("lenet_300_100", seed=seed) for seed in (3, 3, 4))
    assert torch.get_rng_state().equal(before)
    assert one.fc1.weight.equal(same.fc1.weight) and not one.fc1.weight.equal(other.fc1.weight)


def test_unknown_names_and_seeds_are_refused() -> None:
    with pytest.raises(SettingError, match="Did you mean 'lenet5'"):
        build("lenet-5")
    with pytest.raises(SettingError, match="seed is -1"):
        build("lenet5", seed=-1)
