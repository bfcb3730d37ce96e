"""Three small networks of the pruning literature, for images of 28 by 28 in one channel and ten classes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import torch
from torch import nn

from prunus.errors import require_count, require_known


def lenet5() -> nn.Sequential:
    """Return LeNet-5 as pruning papers use it: 5x5 convolutions 20 and 50, linear 500 and 10; 430,500 weights.

    Input (batch, 1, 28, 28), output (batch, 10) logits. Use it as the small convolutional benchmark.

    Source: LeCun et al. 1998; this variant is Caffe's, as in Han et al., "Learning both Weights and Connections", 2015.

    >>> sum(p.numel() for name, p in lenet5().named_parameters() if name.endswith("weight"))
    430500
    """
    layers = {
        "conv1": nn.Conv2d(1, 20, 5), "pool1": nn.MaxPool2d(2), "relu1": nn.ReLU(),
        "conv2": nn.Conv2d(20, 50, 5), "pool2": nn.MaxPool2d(2), "relu2": nn.ReLU(), "flatten": nn.Flatten(),
        "fc1": nn.Linear(800, 500), "relu3": nn.ReLU(), "fc2": nn.Linear(500, 10),
    }  # fmt: skip
    return nn.Sequential(OrderedDict(layers))


def lenet_300_100() -> nn.Sequential:
    """Return LeNet-300-100, the multilayer perceptron 784-300-100-10 with 266,200 weights.

    Input (batch, 1, 28, 28) or (batch, 784), output (batch, 10) logits. Use it where a run must take a second.

    Source: LeCun et al. 1998, section III.C.

    >>> sum(p.numel() for name, p in lenet_300_100().named_parameters() if name.endswith("weight"))
    266200
    """
    layers = {
        "flatten": nn.Flatten(), "fc1": nn.Linear(784, 300), "relu1": nn.ReLU(),
        "fc2": nn.Linear(300, 100), "relu2": nn.ReLU(), "fc3": nn.Linear(100, 10),
    }  # fmt: skip
    return nn.Sequential(OrderedDict(layers))


def bregman_cnn() -> nn.Sequential:
    """Return the Bregman paper's Fashion-MNIST network: 5x5 convolutions 64 and 64, linear 128 and 10; 236,352 weights.

    Input (batch, 1, 28, 28), output (batch, 10) logits. Use it to compare with that paper; it costs more than LeNet-5.

    Source: Bungert, Roith, Tenbrinck, Burger, JMLR 23(192), 2022, section 4.4.

    >>> sum(p.numel() for name, p in bregman_cnn().named_parameters() if name.endswith("weight"))
    236352
    """
    layers = {
        "conv1": nn.Conv2d(1, 64, 5), "pool1": nn.MaxPool2d(2), "relu1": nn.ReLU(),
        "conv2": nn.Conv2d(64, 64, 5), "pool2": nn.MaxPool2d(2), "relu2": nn.ReLU(), "flatten": nn.Flatten(),
        "fc1": nn.Linear(1024, 128), "relu3": nn.ReLU(), "fc2": nn.Linear(128, 10),
    }  # fmt: skip
    return nn.Sequential(OrderedDict(layers))


MODELS: dict[str, Callable[[], nn.Sequential]] = {
    "bregman_cnn": bregman_cnn,
    "lenet5": lenet5,
    "lenet_300_100": lenet_300_100,
}


def build(name: str, seed: int = 0) -> nn.Sequential:
    """Build a network by name, PyTorch's own initialisation drawn from ``seed``; the global generator is left alone.

    Raises SettingError for an unknown name or a negative seed.

    >>> one, two = build("lenet_300_100", seed=1), build("lenet_300_100", seed=1)
    >>> bool((one.fc1.weight == two.fc1.weight).all())
    True
    """
    require_known("model", name, MODELS)
    require_count("seed", seed, low=0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return MODELS[name]()
