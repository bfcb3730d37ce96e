"""Fashion-MNIST from its four IDX files, where they are already on the disk."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from prunus.errors import SettingError
from prunus.tasks.vision import idx
from prunus.tasks.vision.images import ImageSet, normalised

SYSTEM_FOLDER = Path("/usr/share/datasets/fashion-mnist")
FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
MEAN, DEVIATION = 0.2860, 0.3530


def files_in(folder: Path) -> list[Path] | None:
    """Return the four files of Fashion-MNIST in ``folder``, gzipped or not, or None when one is missing.

    >>> files_in(Path("no such folder")) is None
    True
    """
    found = [next((path for path in (folder / f"{name}.gz", folder / name) if path.is_file()), None) for name in FILES]
    present = [path for path in found if path is not None]
    return present if len(present) == len(FILES) else None


def load(folder: Path) -> ImageSet:
    """Read Fashion-MNIST (60,000 + 10,000 images of 28 by 28) from ``folder``.

    Raises SettingError when a file is missing, damaged or does not hold images and labels.

    Source: Xiao, Rasul, Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking", 2017.

    >>> load(Path("nowhere"))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    prunus.errors.SettingError: nowhere lacks Fashion-MNIST: expected train-images-idx3-ubyte, ...
    """
    paths = files_in(folder)
    if paths is None:
        raise SettingError(f"{folder} lacks Fashion-MNIST: expected {', '.join(FILES)} (or the same names with .gz)")
    train_images, train_labels, test_images, test_labels = (_read(path) for path in paths)
    return ImageSet(
        name="Fashion-MNIST",
        source=f"Fashion-MNIST from {folder}: {len(train_labels):,} images to train on, {len(test_labels):,} to test.",
        train_images=normalised(train_images, MEAN, DEVIATION),
        train_labels=train_labels.long(),
        test_images=normalised(test_images, MEAN, DEVIATION),
        test_labels=test_labels.long(),
    )


def _read(path: Path) -> Tensor:
    values = idx.read(path)
    expected = 3 if "images" in path.name else 1
    if values.dim() != expected:
        raise SettingError(f"{path} has {values.dim()} dimensions, expected {expected}")
    return values
