"""A set of images and labels, ready to train on, that knows where it comes from."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from prunus.errors import SettingError, require_count


@dataclass(frozen=True)
class ImageSet:
    """Images and labels of one classification task as tensors, with the sentence that says where they come from.

    Parameters: ``name`` for headings, ``source`` one sentence on origin and subset, ``train_images`` and
    ``test_images`` of shape (count, channels, height, width), ``train_labels`` and ``test_labels`` of shape (count,).

    Raises SettingError when images and labels differ in number.

    >>> images, labels = torch.zeros(4, 1, 2, 2), torch.tensor([0, 1, 0, 1])
    >>> data = ImageSet("toy", "made by hand.", images, labels, images, labels)
    >>> len(data.take(train=2).train_labels), data.take(train=2).train_labels.tolist()
    (2, [0, 1])
    """

    name: str
    source: str
    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor

    def __post_init__(self) -> None:
        for part in ("train", "test"):
            images, labels = getattr(self, f"{part}_images"), getattr(self, f"{part}_labels")
            if len(images) != len(labels):
                raise SettingError(f"{part} part of {self.name}: {len(images)} images but {len(labels)} labels")

    def take(self, train: int | None = None, test: int | None = None) -> ImageSet:
        """Return a smaller set with the same share of every class; ``None`` keeps a part whole."""
        kept: dict[str, Tensor] = {}
        for part, count in (("train", train), ("test", test)):
            images, labels = getattr(self, f"{part}_images"), getattr(self, f"{part}_labels")
            if count is not None and _smaller(part, count, len(labels)):
                chosen = first_of_each(labels, count)
                kept |= {f"{part}_images": images[chosen], f"{part}_labels": labels[chosen]}
        return replace(self, **kept)  # type: ignore[arg-type]


def _smaller(part: str, count: int, available: int) -> bool:
    require_count(part, count)
    if count > available:
        raise SettingError(f"{part} is {count}, but there are only {available} images")
    return count < available


def first_of_each(labels: Tensor, count: int) -> Tensor:
    """Return the places of ``count`` labels that keep the classes balanced, earlier places first, in rising order.

    The i-th image of every class comes before the (i+1)-th of any: place p has rank (number of equal labels before p),
    and the ``count`` smallest (rank, place) are kept.

    >>> first_of_each(torch.tensor([7, 7, 7, 3, 3, 7]), 4).tolist()
    [0, 1, 3, 4]
    """
    rank = torch.empty_like(labels, dtype=torch.long)
    for label in labels.unique():
        places = (labels == label).nonzero().flatten()
        rank[places] = torch.arange(len(places))
    return rank.argsort(stable=True)[:count].sort().values


def normalised(images: Tensor, mean: float, deviation: float) -> Tensor:
    """Return byte images (count, height, width) as float32 (count, 1, height, width): (x / 255 - mean) / deviation.

    >>> normalised(torch.tensor([[[0, 255]]], dtype=torch.uint8), mean=0.5, deviation=0.5).flatten().tolist()
    [-1.0, 1.0]
    """
    return images.to(torch.float32).div_(255.0).sub_(mean).div_(deviation).unsqueeze(1)
