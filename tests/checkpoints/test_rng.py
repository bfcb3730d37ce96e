from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import torch

from prunus.checkpoints import read, rng, write
from prunus.errors import CheckpointError


def draws() -> list[float]:
    gaussians = [random.gauss(0, 1), float(np.random.normal()), float(torch.randn(()))]
    return [*gaussians, random.random(), float(np.random.random()), float(torch.rand(()))]


@pytest.mark.parametrize("before", [0, 1, 3])
def test_every_generator_continues_through_a_file(before: int, tmp_path: Path) -> None:
    """After an odd number of gaussians both Python and numpy hold half a pair back."""
    for _ in range(before):
        random.gauss(0, 1), np.random.normal(), torch.randn(3)
    write(tmp_path / "rng", rng.capture())
    expected = [draws() for _ in range(3)]
    rng.restore(read(tmp_path / "rng"))
    assert [draws() for _ in range(3)] == expected


def test_a_foreign_state_changes_nothing() -> None:
    state = rng.capture()
    expected = draws()
    rng.restore(state)
    for wrong in (
        {},
        {**state, "torch": torch.zeros(3, dtype=torch.uint8)},
        {**state, "numpy": {"keys": torch.ones(1)}},
    ):
        with pytest.raises(CheckpointError, match="random state"):
            rng.restore(wrong)
    assert draws() == expected


def test_the_devices_of_cuda_continue_as_far_as_there_are_any(monkeypatch: pytest.MonkeyPatch) -> None:
    """No device is woken by a capture: one that nobody has used has drawn nothing."""
    devices, used = [torch.tensor([at], dtype=torch.uint8) for at in (5, 6, 7)], False
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: used)
    monkeypatch.setattr(torch.cuda, "get_rng_state_all", lambda: list(devices))
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda state, at: devices.__setitem__(at, state))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert rng.capture()["cuda"] == []
    used = True
    state = rng.capture()
    devices[:] = [torch.tensor([9], dtype=torch.uint8)] * 3
    rng.restore(state)
    assert [int(device) for device in devices] == [5, 6, 9]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda *_: pytest.fail("there is no device"))
    rng.restore(state)
