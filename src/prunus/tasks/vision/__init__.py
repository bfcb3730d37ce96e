"""Classification of small grey images: real data that needs no download, small networks, a training loop."""

from __future__ import annotations

from prunus.tasks.vision.data import load
from prunus.tasks.vision.images import ImageSet
from prunus.tasks.vision.models import MODELS, bregman_cnn, build, lenet5, lenet_300_100
from prunus.tasks.vision.train import History, evaluate, train

__all__ = [
    "MODELS",
    "History",
    "ImageSet",
    "bregman_cnn",
    "build",
    "evaluate",
    "lenet5",
    "lenet_300_100",
    "load",
    "train",
]
