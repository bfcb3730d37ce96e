"""Layers of speaker networks over (batch, channels, frames): convolution blocks, Res2Net, SE, statistics pooling."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from prunus.errors import SettingError

FLOOR = 1e-5


class ConvNorm(nn.Module):
    """A dilated convolution of the same length, ReLU, batch norm: one layer of a time-delay network.

    Source: Peddinti, Povey, Khudanpur, "A time delay neural network architecture", 2015.

    >>> ConvNorm(4, 8, size=3, dilation=2)(torch.zeros(2, 4, 10)).shape
    torch.Size([2, 8, 10])
    """

    def __init__(self, inputs: int, outputs: int, size: int = 1, dilation: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv1d(inputs, outputs, size, dilation=dilation, padding=dilation * (size // 2))
        self.norm = nn.BatchNorm1d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Return norm(relu(conv(x)))."""
        return self.norm(torch.relu(self.conv(x)))  # type: ignore[no-any-return]


class Res2Conv(nn.Module):
    r"""Convolutions in steps: y₁ = x₁, y₂ = K₂(x₂), yᵢ = Kᵢ(xᵢ + yᵢ₋₁) on ``scale`` equal parts of the channels.

    Each part sees a wider context than the one before it, at the cost of one small convolution a part.

    Source: Gao et al., "Res2Net: a new multi-scale backbone architecture", 2019, section 3.1.

    >>> Res2Conv(8, size=3, dilation=2, scale=4)(torch.zeros(2, 8, 10)).shape
    torch.Size([2, 8, 10])
    """

    def __init__(self, channels: int, size: int, dilation: int, scale: int) -> None:
        super().__init__()
        if channels % scale:
            raise SettingError(f"channels is {channels}, expected a multiple of scale={scale}")
        width = channels // scale
        self.scale = scale
        self.blocks = nn.ModuleList(ConvNorm(width, width, size, dilation) for _ in range(scale - 1))

    def forward(self, x: Tensor) -> Tensor:
        """Return the parts, joined again."""
        first, *rest = x.chunk(self.scale, dim=1)
        parts = [first]
        for number, (block, part) in enumerate(zip(self.blocks, rest, strict=True)):
            parts.append(block(part + parts[-1] if number else part))
        return torch.cat(parts, dim=1)


class SqueezeExcite(nn.Module):
    """Scale each channel by a gate in (0, 1) that is computed from the means of all channels over time.

    Source: Hu, Shen, Sun, "Squeeze-and-excitation networks", 2018; over time as in Desplanques 2020, section 3.2.

    >>> SqueezeExcite(8, 4)(torch.zeros(2, 8, 10)).shape
    torch.Size([2, 8, 10])
    """

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.squeeze = nn.Linear(channels, hidden)
        self.excite = nn.Linear(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return the channels, scaled."""
        gates = torch.sigmoid(self.excite(torch.relu(self.squeeze(x.mean(dim=2)))))
        return x * gates.unsqueeze(2)


class SERes2Block(nn.Module):
    """1×1 convolution, Res2Conv, 1×1 convolution, squeeze-excite, and the input added.

    Source: Desplanques, Thienpondt, Demuynck, "ECAPA-TDNN", Interspeech 2020, figure 1.

    >>> SERes2Block(8, dilation=2, scale=4, hidden=4)(torch.zeros(2, 8, 10)).shape
    torch.Size([2, 8, 10])
    """

    def __init__(self, channels: int, dilation: int, scale: int, hidden: int) -> None:
        super().__init__()
        self.enter = ConvNorm(channels, channels)
        self.res2 = Res2Conv(channels, 3, dilation, scale)
        self.leave = ConvNorm(channels, channels)
        self.gate = SqueezeExcite(channels, hidden)

    def forward(self, x: Tensor) -> Tensor:
        """Return x plus what the block makes of it."""
        return x + self.gate(self.leave(self.res2(self.enter(x))))  # type: ignore[no-any-return]


def statistics(x: Tensor, weights: Tensor | None = None) -> tuple[Tensor, Tensor]:
    r"""Return mean and standard deviation over time of ``x`` (batch, channels, frames): each (batch, channels).

    .. math:: \mu = \textstyle\sum_t \alpha_t x_t, \qquad \sigma = \sqrt{\max(\sum_t \alpha_t x_t^2 - \mu^2, 10^{-5})}

    ``weights`` α sum to 1 over time; None is 1 / frames.

    >>> mean, deviation = statistics(torch.tensor([[[1.0, 3.0]]]))
    >>> mean.item(), deviation.item()
    (2.0, 1.0)
    """
    alpha = 1.0 / x.shape[2] if weights is None else weights
    mean = (alpha * x).sum(dim=2)
    spread = (alpha * (x - mean.unsqueeze(2)).square()).sum(dim=2)
    return mean, spread.clamp_min(FLOOR).sqrt()


class AttentivePooling(nn.Module):
    """Mean and deviation over time, weighted by an attention that each channel has to itself.

    The attention of a frame sees the frame beside the utterance's mean and deviation. Output (batch, 2 · channels).

    Source: Okabe et al. 2018; channel- and context-dependent as in Desplanques 2020, section 3.1.

    >>> AttentivePooling(8, 4)(torch.randn(2, 8, 10)).shape
    torch.Size([2, 16])
    """

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.attend = ConvNorm(3 * channels, hidden)
        self.conv = nn.Conv1d(hidden, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the statistics."""
        context = [part.unsqueeze(2).expand_as(x) for part in statistics(x)]
        logits = self.conv(torch.tanh(self.attend(torch.cat([x, *context], dim=1))))
        return torch.cat(statistics(x, torch.softmax(logits, dim=2)), dim=1)
