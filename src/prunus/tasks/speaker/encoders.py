"""Encoders: features and a network that fits them, by name, from the waveform to the embedding."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from prunus.errors import SettingError, require_count, require_known
from prunus.tasks.speaker import pretrained
from prunus.tasks.speaker.features import LogMel, PowerMel
from prunus.tasks.speaker.networks import EcapaTdnn, Resemblyzer, XVector


class Encoder(nn.Module):
    """From waveforms (batch, time) at 8 kHz to embeddings (batch, dim): features without parameters, then a network.

    >>> Encoder(LogMel(40), XVector(channels=4, pooled=4, embedding=6), dim=6)(torch.randn(2, 8000)).shape
    torch.Size([2, 6])
    """

    def __init__(self, features: nn.Module, network: nn.Module, dim: int) -> None:
        super().__init__()
        self.features, self.network, self.dim = features, network, dim

    def forward(self, waves: Tensor) -> Tensor:
        """Return the embeddings; their length has no meaning."""
        return self.network(self.features(waves))  # type: ignore[no-any-return]


def ecapa_tdnn_small() -> Encoder:
    """Return ECAPA-TDNN with 128 channels instead of 512 or more, embedding 128: 0.5 M weights.

    >>> sum(p.numel() for p in ecapa_tdnn_small().parameters())
    551776
    """
    network = EcapaTdnn(bands=40, channels=128, scale=4, joined=384, hidden=64, embedding=128)
    return Encoder(LogMel(40), network, 128)


def x_vector() -> Encoder:
    """Return the x-vector with the sizes of its paper: 4.3 M weights, too slow to train on few cores.

    >>> sum(p.numel() for p in x_vector().parameters())
    4253588
    """
    return Encoder(LogMel(40), XVector(), 512)


def x_vector_small() -> Encoder:
    """Return the x-vector with a quarter of its paper's width, embedding 128: 0.3 M weights.

    >>> sum(p.numel() for p in x_vector_small().parameters())
    287333
    """
    return Encoder(LogMel(40), XVector(channels=128, pooled=375, embedding=128), 128)


def resemblyzer() -> Encoder:
    """Return Resemblyzer's voice encoder, three LSTM layers of 256: 1.4 M weights, for which published ones exist.

    >>> sum(p.numel() for p in resemblyzer().parameters())
    1423616
    """
    return Encoder(PowerMel(), Resemblyzer(), 256)


MODELS: dict[str, Callable[[], Encoder]] = {
    "ecapa_tdnn_small": ecapa_tdnn_small,
    "resemblyzer": resemblyzer,
    "x_vector": x_vector,
    "x_vector_small": x_vector_small,
}


def build(name: str, seed: int = 0, *, published: bool = False) -> Encoder:
    """Build an encoder by name, initialised from ``seed``; the global generator is left alone.

    ``published`` loads the weights of the package Resemblyzer, fetched with pip where it is not installed.

    Raises SettingError for an unknown name, a negative seed, a network without published weights, or when these cannot
    be fetched.

    >>> one, two = build("x_vector_small", seed=1), build("x_vector_small", seed=1)
    >>> one.network.linear.weight.equal(two.network.linear.weight)
    True
    """
    require_known("model", name, MODELS)
    require_count("seed", seed, 0)
    if published and name != "resemblyzer":
        raise SettingError(f"there are no published weights of {name}, only of resemblyzer")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder = MODELS[name]()
    if published:
        encoder.network.load_state_dict(pretrained.weights())
    return encoder
