"""Networks that turn features into one vector an utterance: ECAPA-TDNN, x-vector, Resemblyzer's LSTM."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from prunus.tasks.speaker.layers import AttentivePooling, ConvNorm, SERes2Block, statistics


class EcapaTdnn(nn.Module):
    """ECAPA-TDNN: a convolution, SE-Res2 blocks of growing dilation, all their outputs joined, attentive pooling.

    Input (batch, bands, frames), output (batch, embedding). The paper's sizes are channels 512 or 1024, scale 8, joined
    1536, embedding 192.

    Args:
        bands: features a frame.
        channels, scale: of the blocks, and parts of their Res2 convolutions.
        dilations: one block each.
        joined: channels after the outputs of the blocks are joined.
        hidden: width of the squeezes and of the attention.
        embedding: length of the vector.

    Source: Desplanques, Thienpondt, Demuynck, "ECAPA-TDNN: emphasized channel attention, propagation and aggregation
    in TDNN based speaker verification", Interspeech 2020.

    >>> EcapaTdnn(bands=8, channels=8, scale=2, joined=12, hidden=4, embedding=6)(torch.randn(2, 8, 30)).shape
    torch.Size([2, 6])
    """

    def __init__(
        self,
        bands: int = 40,
        channels: int = 512,
        scale: int = 8,
        dilations: Sequence[int] = (2, 3, 4),
        joined: int = 1536,
        hidden: int = 128,
        embedding: int = 192,
    ) -> None:
        super().__init__()
        self.enter = ConvNorm(bands, channels, 5)
        self.blocks = nn.ModuleList(SERes2Block(channels, dilation, scale, hidden) for dilation in dilations)
        self.join = nn.Conv1d(len(dilations) * channels, joined, 1)
        self.pool = AttentivePooling(joined, hidden)
        self.norm_pool = nn.BatchNorm1d(2 * joined)
        self.linear = nn.Linear(2 * joined, embedding)
        self.norm_out = nn.BatchNorm1d(embedding)

    def forward(self, features: Tensor) -> Tensor:
        """Return the embeddings."""
        x, outputs = self.enter(features), []
        for block in self.blocks:
            x = block(x)
            outputs.append(x)
        pooled = self.pool(torch.relu(self.join(torch.cat(outputs, dim=1))))
        return self.norm_out(self.linear(self.norm_pool(pooled)))  # type: ignore[no-any-return]


class XVector(nn.Module):
    """The x-vector: five time-delay layers, mean and deviation over time, an affine layer whose output is the vector.

    Input (batch, bands, frames), output (batch, embedding). Trained with a margin on the embedding itself, so the
    paper's second affine layer behind it ("segment7") is left out.

    Args:
        bands: features a frame.
        channels: of the frame layers; the paper's 512.
        pooled: channels before pooling; the paper's 1500.
        embedding: length of the vector; the paper's 512.

    Source: Snyder, Garcia-Romero, Sell, Povey, Khudanpur, "X-vectors: robust DNN embeddings for speaker recognition",
    ICASSP 2018, table 1.

    >>> XVector(bands=8, channels=8, pooled=12, embedding=6)(torch.randn(2, 8, 30)).shape
    torch.Size([2, 6])
    """

    def __init__(self, bands: int = 40, channels: int = 512, pooled: int = 1500, embedding: int = 512) -> None:
        super().__init__()
        self.frames = nn.Sequential(
            ConvNorm(bands, channels, 5),
            ConvNorm(channels, channels, 3, 2),
            ConvNorm(channels, channels, 3, 3),
            ConvNorm(channels, channels),
            ConvNorm(channels, pooled),
        )
        self.linear = nn.Linear(2 * pooled, embedding)
        self.norm_out = nn.BatchNorm1d(embedding)

    def forward(self, features: Tensor) -> Tensor:
        """Return the embeddings."""
        pooled = torch.cat(statistics(self.frames(features)), dim=1)
        return self.norm_out(self.linear(pooled))  # type: ignore[no-any-return]


class Resemblyzer(nn.Module):
    """The voice encoder of Resemblyzer: three LSTM layers of 256, their last state through an affine layer and ReLU.

    Windows of 160 frames, evenly spread and at most half a window apart, are embedded to unit length and averaged.
    Input (batch, frames, 40), output (batch, 256) of unit length. The parameters have the names of the published file.

    Source: Wan, Wang, Papir, Moreno, "Generalized end-to-end loss for speaker verification", 2018; the package
    Resemblyzer 0.1.4 (Apache-2.0).

    >>> Resemblyzer()(torch.rand(2, 301, 40)).norm(dim=1)
    tensor([1.0000, 1.0000], grad_fn=<...>)
    """

    window = 160

    def __init__(self, bands: int = 40, hidden: int = 256, layers: int = 3, embedding: int = 256) -> None:
        super().__init__()
        self.lstm = nn.LSTM(bands, hidden, layers, batch_first=True)
        self.linear = nn.Linear(hidden, embedding)

    def forward(self, features: Tensor) -> Tensor:
        """Return the embeddings."""
        windows = self._windows(features)
        _, (state, _) = self.lstm(windows.flatten(0, 1))
        parts = F.normalize(torch.relu(self.linear(state[-1])), dim=1)
        return F.normalize(parts.view(*windows.shape[:2], -1).mean(dim=1), dim=1)

    def _windows(self, features: Tensor) -> Tensor:
        """Return (batch, windows, 160, bands)."""
        padded = F.pad(features, (0, 0, 0, max(0, self.window - features.shape[1])))
        room = padded.shape[1] - self.window
        starts = torch.linspace(0, room, 1 + math.ceil(2 * room / self.window)).round().long().tolist()
        return torch.stack([padded[:, start : start + self.window] for start in starts], dim=1)
