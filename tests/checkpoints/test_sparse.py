from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from prunus.checkpoints import load_sparse, read, save_sparse, streams, write
from prunus.checkpoints.sparse import DTYPES, encode
from prunus.errors import CheckpointError

KINDS = ["float32", "float64", "float16", "bfloat16", "float8_e4m3fn", "int8", "int64", "uint8", "bool"]
KINDS += ["complex64", "complex128"]


def raw(tensor: Tensor) -> bytes:
    return bytes(tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())


def identical(one: Tensor, other: Tensor) -> bool:
    return one.dtype == other.dtype and one.shape == other.shape and raw(one) == raw(other)


def sparse(shape: tuple[int, ...], kind: str, density: float, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    dense = 5 * torch.randn(shape, generator=generator)
    kept = torch.where(torch.rand(shape, generator=generator) < density, dense, 0.0)
    return kept.to(DTYPES[kind])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("density", [0.0, 0.01, 0.1, 0.5, 1.0])
def test_every_dtype_and_density_survives(kind: str, density: float, tmp_path: Path) -> None:
    shapes: list[tuple[int, ...]] = [(), (0,), (3, 0, 2), (1,), (7,), (64, 33), (4, 3, 5, 5)]
    state = {str(shape): sparse(shape, kind, density) for shape in shapes}
    save_sparse(tmp_path / "a", state)
    loaded = load_sparse(tmp_path / "a")
    assert list(loaded) == list(state)
    assert all(identical(loaded[name], state[name]) for name in state)
    assert torch.load(tmp_path / "a", weights_only=True)["version"] == 1


def test_awkward_values_survive(tmp_path: Path) -> None:
    tiny = torch.finfo(torch.float32).smallest_normal / 4
    values = torch.tensor([0.0, -0.0, math.nan, math.inf, -math.inf, tiny, 1.0] + [0.0] * 500)
    values.view(torch.int32)[2] = 0x7FC12345  # a NaN with a payload
    save_sparse(tmp_path / "a", {"values": values})
    assert encode(values).coding != "dense"
    assert identical(load_sparse(tmp_path / "a")["values"], values)


@given(
    gaps=st.lists(st.sampled_from([0, 1, 2, 253, 254, 255, 256, 509, 510, 511, 1000]), max_size=12),
    tail=st.integers(0, 600),
)
def test_maps_survive_gaps_around_the_escape(gaps: list[int], tail: int) -> None:
    places = np.cumsum([gap + 1 for gap in gaps]) - 1
    alive = np.zeros((int(places[-1]) + 1 if gaps else 0) + tail, dtype=np.bool_)
    alive[places.astype(np.int64)] = True
    packed = streams.pack_gaps(alive)
    assert len(packed) <= alive.size
    assert np.array_equal(streams.unpack_gaps(packed, alive.size), alive)
    assert np.array_equal(streams.unpack_bits(streams.pack_bits(alive), alive.size), alive)


def test_strides_do_not_matter_and_ties_stay_ties(tmp_path: Path) -> None:
    image = sparse((2, 3, 4, 4), "float32", 0.1).to(memory_format=torch.channels_last)
    weight = nn.Parameter(sparse((6, 8), "float32", 0.2))
    state = {
        "image": image,
        "turned": image.mT,
        "in": weight,
        "out": weight,
        "part": weight[1:3],
        "every other": torch.arange(9.0)[::2],
        "spread": torch.ones(1).expand(5),
        "extra": {"steps": 3},
    }
    save_sparse(tmp_path / "a", state)
    loaded = load_sparse(tmp_path / "a")
    assert all(identical(loaded[name], state[name]) for name in state if name != "extra")
    assert loaded["in"] is loaded["out"] and loaded["extra"] == {"steps": 3}
    assert type(loaded["in"]) is Tensor and not loaded["in"].requires_grad


def test_a_tied_model_comes_back_into_a_fresh_one(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Embedding(9, 4), nn.Linear(4, 9, bias=False), nn.BatchNorm1d(9))
    model[1].weight = model[0].weight
    save_sparse(tmp_path / "a", model.state_dict())
    fresh = nn.Sequential(nn.Embedding(9, 4), nn.Linear(4, 9, bias=False), nn.BatchNorm1d(9))
    fresh.load_state_dict(load_sparse(tmp_path / "a"))
    assert all(
        identical(one, other)
        for one, other in zip(fresh.state_dict().values(), model.state_dict().values(), strict=True)
    )


@pytest.mark.parametrize(
    ("kind", "sparsity", "most"),
    [
        ("float32", 0.5, 14.10),
        ("float32", 0.9, 2.93),
        ("float32", 0.95, 1.55),
        ("float32", 0.99, 0.36),
        ("float16", 0.9, 1.66),
        ("bfloat16", 0.5, 6.12),
        ("bfloat16", 0.9, 1.33),
        ("bfloat16", 0.95, 0.75),
    ],
)
def test_pruned_normal_weights_take_no_more_bits_than_zstd_took(
    kind: str, sparsity: float, most: float, tmp_path: Path
) -> None:
    weight = 0.02 * torch.randn(1000, 1000, generator=torch.Generator().manual_seed(0))
    threshold = weight.abs().flatten().kthvalue(int(sparsity * weight.numel())).values
    save_sparse(tmp_path / "a", {"weight": torch.where(weight.abs() > threshold, weight, 0.0).to(DTYPES[kind])})
    assert 8 * os.path.getsize(tmp_path / "a") / weight.numel() < 1.02 * most


def test_tensors_without_dense_values_are_refused(tmp_path: Path) -> None:
    for tensor in (torch.ones(2, device="meta"), torch.eye(2).to_sparse()):
        with pytest.raises(CheckpointError, match=r"'weight' is a .* tensor, which has no dense values"):
            save_sparse(tmp_path / "a", {"weight": tensor})
    assert os.listdir(tmp_path) == []


def test_damage_is_found_and_named(tmp_path: Path) -> None:
    save_sparse(tmp_path / "a", {"first": torch.eye(50), "second": torch.randn(50)})
    state = read(tmp_path / "a")
    second = state["tensors"]["second"]
    wrongs = [
        {**second, "stored": 49},
        {**second, "shape": [51]},
        {**second, "dtype": "system"},
        {**second, "coding": "magic"},
        {**second, "lengths": [1]},
        {},
    ]
    for wrong in wrongs:
        write(tmp_path / "b", state | {"tensors": {**state["tensors"], "second": wrong}})
        with pytest.raises(CheckpointError, match="damaged at tensor 'second'"):
            load_sparse(tmp_path / "b")
    flipped = state["blob"].clone()
    flipped[-20] ^= 1
    write(tmp_path / "b", state | {"blob": flipped})
    with pytest.raises(CheckpointError, match="damaged at tensor 'second'"):
        load_sparse(tmp_path / "b")


def test_other_files_versions_and_byte_orders_are_refused(tmp_path: Path) -> None:
    save_sparse(tmp_path / "a", {})
    assert load_sparse(tmp_path / "a") == {}
    state = read(tmp_path / "a")
    changes = {
        "is not a file of save_sparse": {"format": "x"},
        "newer version": {"version": 2},
        "endian": {"byteorder": "?"},
    }
    for message, change in changes.items():
        write(tmp_path / "b", state | change)
        with pytest.raises(CheckpointError, match=message):
            load_sparse(tmp_path / "b")


def test_a_stream_that_would_fill_the_memory_is_stopped() -> None:
    with pytest.raises(ValueError, match="does not hold exactly 10 bytes"):
        streams.inflate(streams.deflate(bytes(10_000_000)), 10)
    with pytest.raises(ValueError, match="cut off"):
        streams.inflate(streams.deflate(b"prunus")[:-3], 6)
    with pytest.raises(ValueError, match="gaps end"):
        streams.unpack_gaps(bytes([9]), 5)
