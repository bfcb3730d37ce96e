from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from functools import partial

os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch
from hypothesis import HealthCheck, settings

from prunus import _native

torch.set_num_threads(1)

# The same examples on every run: a failure on one machine is a failure on all.
settings.register_profile(
    "prunus",
    deadline=None,
    derandomize=True,
    max_examples=40,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("prunus")


def pytest_make_parametrize_id(val: object) -> str | None:
    """Name a value without its address or its bytes: parallel workers must collect the same names on every run."""
    if isinstance(val, partial):
        return pytest_make_parametrize_id(val.func)
    if isinstance(val, bytes):
        return f"{len(val)}_bytes"
    return getattr(val, "__name__", None)


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    """Every test draws from seed 0, and leaves torch's default dtype and grad mode as it found them."""
    torch.manual_seed(0)
    dtype, grad = torch.get_default_dtype(), torch.is_grad_enabled()
    yield
    torch.set_default_dtype(dtype)
    torch.set_grad_enabled(grad)


@pytest.fixture(params=["native", "torch"])
def kernels(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Masks and selection by compiled kernels, and as it is where there is no compiler."""
    if request.param == "torch":
        for place in ("prunus._native", "prunus._native.ranking"):
            monkeypatch.setattr(f"{place}.available", lambda: False)
    elif not _native.available():
        pytest.skip(f"no native kernels: {_native.why_not()}")


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Lightning's advice on hardware and loaders is not what a failing test should begin with."""
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.ERROR)
    yield
    logger.setLevel(level)
