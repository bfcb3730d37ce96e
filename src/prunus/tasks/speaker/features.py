"""Features: log-mel with mean normalisation, and the mel powers that Resemblyzer was trained on."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from prunus.errors import require_count, require_known, require_number
from prunus.tasks.speaker.sound import LEVEL, levelled, resample
from prunus.tasks.speaker.voices import RATE

SCALES = ("htk", "slaney")
KNEE, SLOPE, STEP = 1000.0, 3 / 200, math.log(6.4) / 27
"""Slaney's scale: linear up to 1000 Hz at 3 mel a 200 Hz, above that logarithmic, 27 mel for a factor of 6.4."""


def mel(frequency: Tensor, scale: str = "htk") -> Tensor:
    """Return frequencies in Hz on the mel scale: HTK's 2595 lg(1 + f/700), or Slaney's.

    >>> mel(torch.tensor([1000.0]), "htk"), mel(torch.tensor([1000.0]), "slaney")
    (tensor([999.9856]), tensor([15.]))
    """
    require_known("scale", scale, SCALES)
    if scale == "htk":
        return 2595 * torch.log10(1 + frequency / 700)
    above = KNEE * SLOPE + torch.log(frequency.clamp_min(KNEE) / KNEE) / STEP
    return torch.where(frequency < KNEE, frequency * SLOPE, above)


def hertz(mels: Tensor, scale: str = "htk") -> Tensor:
    """Return mels in Hz, the inverse of :func:`mel`.

    >>> hertz(mel(torch.tensor([440.0, 3000.0]), "slaney"), "slaney")
    tensor([ 440., 3000.])
    """
    require_known("scale", scale, SCALES)
    if scale == "htk":
        return 700 * (10 ** (mels / 2595) - 1)
    return torch.where(mels < KNEE * SLOPE, mels / SLOPE, KNEE * torch.exp(STEP * (mels - KNEE * SLOPE)))


def mel_filterbank(
    bands: int, n_fft: int, rate: int, low: float = 0.0, high: float | None = None, scale: str = "htk"
) -> Tensor:
    """Return triangular filters (n_fft // 2 + 1, bands): equally spaced in mel, their corners at the next centres.

    Of a bin at f and corners l < c < r: max(0, min((f - l) / (c - l), (r - f) / (r - c))). Slaney's filters are divided
    by half their width in Hz, so that all have the same area; HTK's have the height 1.

    Args:
        bands: how many filters.
        n_fft: samples of a frame.
        rate: samples a second.
        low, high: the outermost corners in Hz; None is half the rate.
        scale: htk or slaney.

    Raises SettingError for settings out of range.
    Source: Young et al., The HTK Book, 5.6; Slaney, Auditory Toolbox, 1998 (as in librosa).

    >>> mel_filterbank(2, 8, 8000).shape
    torch.Size([5, 2])
    """
    require_count("bands", bands)
    require_count("n_fft", n_fft, 2)
    require_number("low", low, 0.0, rate / 2)
    top = rate / 2 if high is None else high
    require_number("high", top, low, rate / 2, open_low=True)
    ends = mel(torch.tensor([low, top], dtype=torch.float64), scale)
    corners = hertz(torch.linspace(float(ends[0]), float(ends[1]), bands + 2, dtype=torch.float64), scale)
    bins = torch.linspace(0, rate / 2, n_fft // 2 + 1, dtype=torch.float64)[:, None]
    left, centre, right = corners[:-2], corners[1:-1], corners[2:]
    filters = torch.minimum((bins - left) / (centre - left), (right - bins) / (right - centre)).clamp_min(0)
    return (filters * (2 / (right - left)) if scale == "slaney" else filters).float()


class LogMel(nn.Module):
    r"""Log-mel features with the mean of each band over the utterance taken away: what a fixed channel adds is gone.

    .. math:: y_{b,t} = \ln(\textstyle\sum_k W_{kb} |X_{kt}|^2 + 10^{-6}) - \text{mean over } t

    Frames of 25 ms every 10 ms, Hamming window, ``n_fft`` 256, HTK filters from 20 Hz. Input (batch, time) in [-1, 1]
    at 8 kHz, output (batch, bands, frames).

    >>> LogMel(bands=40)(torch.randn(2, 8000)).shape
    torch.Size([2, 40, 101])
    """

    n_fft, hop, length = 256, RATE // 100, RATE // 40
    filters: Tensor
    window: Tensor

    def __init__(self, bands: int = 40) -> None:
        super().__init__()
        self.bands = bands
        self.register_buffer("filters", mel_filterbank(bands, self.n_fft, RATE, low=20.0), persistent=False)
        self.register_buffer("window", torch.hamming_window(self.length), persistent=False)

    def forward(self, waves: Tensor) -> Tensor:
        """Return the features."""
        logs = (power(waves, self.n_fft, self.hop, self.window) @ self.filters + 1e-6).log()
        return (logs - logs.mean(dim=1, keepdim=True)).transpose(1, 2)


class PowerMel(nn.Module):
    """The features of Resemblyzer: 40 Slaney mel powers (no logarithm) at 16 kHz, 25 ms every 10 ms, level -30 dB.

    Input (batch, time) at 8 kHz, doubled to 16 kHz first; output (batch, frames, 40). The band above 4 kHz stays empty.

    >>> PowerMel()(torch.randn(2, 8000)).shape
    torch.Size([2, 101, 40])
    """

    rate, n_fft, hop = 16_000, 400, 160
    filters: Tensor
    window: Tensor

    def __init__(self, bands: int = 40) -> None:
        super().__init__()
        self.bands = bands
        self.register_buffer("filters", mel_filterbank(bands, self.n_fft, self.rate, scale="slaney"), persistent=False)
        self.register_buffer("window", torch.hann_window(self.n_fft), persistent=False)

    def forward(self, waves: Tensor) -> Tensor:
        """Return the features."""
        return (
            power(levelled(resample(waves, RATE, self.rate), LEVEL), self.n_fft, self.hop, self.window) @ self.filters
        )


def power(waves: Tensor, n_fft: int, hop: int, window: Tensor) -> Tensor:
    """Return power spectra (batch, frames, n_fft // 2 + 1) of ``waves`` (batch, time), centred, zeros beyond the ends.

    >>> power(torch.ones(1, 80), 8, 4, torch.ones(8)).shape
    torch.Size([1, 21, 5])
    """
    spectra = torch.stft(waves, n_fft, hop, len(window), window, center=True, pad_mode="constant", return_complex=True)
    return spectra.abs().square().transpose(1, 2)
