"""Trouble models: each has one thing that selection, masks or scheduling could get wrong."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Tied(nn.Module):
    """An embedding whose weight is also the output layer's."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(12, 6)
        self.body = nn.Linear(6, 6)
        self.head = nn.Linear(6, 12, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(self.body(self.embed(tokens)))


def mlp() -> nn.Sequential:
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))


def frozen() -> nn.Sequential:
    model = mlp()
    model[0].requires_grad_(False)
    return model


def normed() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.PReLU(), nn.GroupNorm(2, 4), nn.Flatten(), nn.Linear(64, 3)
    )


def convs() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 4, 3),
        nn.Conv2d(4, 8, 3, groups=2),
        nn.ConvTranspose2d(8, 6, 2),
        nn.Conv1d(6, 6, 3),
        nn.Conv3d(2, 2, 2),
    )


def channels_last() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(4, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 3)).to(memory_format=torch.channels_last)


def recurrent() -> nn.LSTM:
    return nn.LSTM(4, 5)


def half() -> nn.Sequential:
    return mlp().to(torch.bfloat16)
