"""No tensor that torch can hand over ends the process, and no thread or fork waits for ever."""

from __future__ import annotations

import multiprocessing
import os
import threading

import pytest
import torch
from torch import nn

from prunus import _native
from prunus._native import library, ranking
from prunus.errors import RunError
from prunus.keep import exactly
from prunus.masks import MaskStore
from prunus.optim import AdaBreg, LinBreg, ProxSGD
from prunus.regularizers import RegL1
from prunus.select import targets

pytestmark = pytest.mark.skipif(not _native.available(), reason=f"no native kernels: {_native.why_not()}")
SIZE = 70_000


def unaligned(dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """A tensor as from a file that was mapped into memory at an odd place."""
    memory = torch.zeros(SIZE * dtype.itemsize + 16, dtype=torch.uint8)
    tensor = torch.frombuffer(memory.numpy().data, dtype=dtype, count=SIZE, offset=1)
    assert tensor.data_ptr() % dtype.itemsize
    return tensor


@pytest.mark.parametrize("member", [AdaBreg, LinBreg, ProxSGD])
def test_memory_that_starts_at_an_odd_place_is_stepped_by_torch(member, monkeypatch) -> None:
    """Writing past the caches needs whole lines, of which such a tensor has none."""
    odd, even = nn.Parameter(unaligned()), nn.Parameter(torch.zeros(SIZE))
    assert not _native.can_clear(odd) and _native.can_clear(even)
    optimizer = member([odd, even], lr=0.5, reg=RegL1(0.125))
    grad = torch.randn(SIZE)
    odd.grad, even.grad = unaligned().copy_(grad), grad
    optimizer.step()
    torch.testing.assert_close(odd, even)
    even.grad = odd.grad
    optimizer.step()
    torch.testing.assert_close(odd, even)


def test_masks_and_scores_may_start_anywhere() -> None:
    layer = nn.Linear(SIZE, 1, bias=False)
    layer.weight = nn.Parameter(unaligned().view(1, SIZE))
    store = MaskStore(targets(layer))
    layer.weight.data.fill_(1.0)
    store.update({"weight": torch.arange(SIZE).view(1, SIZE) < 3})
    store.apply_()
    assert int(layer.weight.count_nonzero()) == 3
    assert not ranking.can_walk(layer.weight, torch.float32)


def test_scores_that_are_the_negative_of_their_memory_are_ranked_as_they_read() -> None:
    score = torch.tensor([1 + 2j]).conj().imag
    assert score.is_neg() and score.is_contiguous() and score.item() == -2.0
    assert not ranking.can_walk(score, torch.float32)
    assert exactly([score, torch.zeros(1)], 1)[1].item()


def freed(tensor: torch.Tensor) -> None:
    tensor.untyped_storage().resize_(0)


@pytest.mark.parametrize("what", ["weight", "gradient", "state"])
def test_memory_that_was_freed_is_an_error(what: str) -> None:
    weight = nn.Parameter(torch.ones(8))
    optimizer = AdaBreg([weight], reg=RegL1(0.1))
    weight.grad = torch.ones(8)
    optimizer.step()
    freed({"weight": weight, "gradient": weight.grad, "state": optimizer.state[weight]["sub_grad"]}[what])
    with pytest.raises(RunError, match=f"the memory of a {what} of shape \\[8\\] has been freed; nothing has moved"):
        optimizer.step()


def test_masks_of_memory_that_was_freed_are_an_error() -> None:
    layer = nn.Linear(4, 4)
    store = MaskStore(targets(layer))
    store.update({"weight": torch.eye(4, dtype=torch.bool)})
    store.apply_()
    freed(layer.weight)
    with pytest.raises(RunError, match="the memory of a weight"):
        store.apply_()


def test_groups_of_no_entries_are_repeated() -> None:
    assert ranking.repeat(torch.zeros(0, dtype=torch.bool), (3, 0, 1), (3, 0)).shape == (3, 0)


def train(threads: int) -> None:
    """Step so many weights that threads are worth waking, each so small that torch does not wake its own."""
    torch.set_num_threads(threads)
    weights = [nn.Parameter(torch.ones(SIZE // 4)) for _ in range(4)]
    for weight in weights:
        weight.grad = torch.ones_like(weight)
    AdaBreg(weights, reg=RegL1(0.1)).step()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_fork_steps_though_the_threads_of_its_parent_are_gone() -> None:
    try:
        train(2)
        assert library.team()[0] != 0 or library._pool() == 0
        child = multiprocessing.get_context("fork").Process(target=train, args=(2,))
        child.start()
        child.join(60)
        waits = child.is_alive()
        child.kill()
        assert not waits and child.exitcode == 0
    finally:
        torch.set_num_threads(1)


def test_threads_may_step_one_optimizer_or_several_at_once() -> None:
    """Each call has a table of its own, so no thread reads the address of a gradient that another has let go."""
    weights = [nn.Parameter(torch.ones(SIZE // 8)) for _ in range(8)]
    shared, faults = LinBreg(weights, lr=0.0, reg=RegL1(0.0)), []

    def go() -> None:
        try:
            for _ in range(10):
                for weight in weights:
                    weight.grad = torch.ones_like(weight)
                shared.step()
                train(1)
        except Exception as fault:  # a thread's own end would go unnoticed
            faults.append(fault)

    threads = [threading.Thread(target=go) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults and all(bool((weight == 1.0).all()) for weight in weights)
