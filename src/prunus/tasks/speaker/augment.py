"""Augmentation of training waves: a crop, noise, and silenced bands, drawn from a given generator."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from prunus.errors import SettingError, require_fraction, require_number
from prunus.tasks.speaker.voices import RATE


@dataclass(frozen=True)
class Augment:
    """Crop each wave to ``seconds`` at a random place, silence a random band, add noise.

    Args:
        seconds: length of the crop; None keeps the whole wave.
        noise: share of the waves that get noise, its level drawn evenly in dB between the two ``snr``.
        snr: signal to noise ratios in dB, the lower first.
        band: widest band to silence in Hz; 0 silences none. Its width and place are drawn evenly.

    The colour of the noise is drawn between white and brown. Input and output float (batch, time) at 8 kHz.
    Raises SettingError for settings out of range. Augment() changes nothing.
    Source: after Snyder et al. 2018 (noise) and Park et al., SpecAugment, 2019 (bands).

    >>> generator = torch.Generator().manual_seed(0)
    >>> Augment(seconds=0.5, noise=1.0, band=500.0)(torch.randn(2, 8000), generator).shape
    torch.Size([2, 4000])
    """

    seconds: float | None = None
    noise: float = 0.0
    snr: tuple[float, float] = (10.0, 30.0)
    band: float = 0.0

    def __post_init__(self) -> None:
        if self.seconds is not None:
            require_number("seconds", self.seconds, 0.1)
        require_fraction("noise", self.noise)
        require_number("band", self.band, 0.0, RATE / 4)
        if len(self.snr) != 2 or not -20 <= self.snr[0] <= self.snr[1] <= 100:
            raise SettingError(f"snr is {self.snr!r}, expected two ratios in dB, the lower first, from -20 to 100")

    def __call__(self, waves: Tensor, generator: torch.Generator) -> Tensor:
        """Return the augmented waves; ``generator`` is on the CPU."""
        cropped = waves if self.seconds is None else crop(waves, round(self.seconds * RATE), generator)
        if not self.noise and not self.band:
            return cropped
        spectrum = torch.fft.rfft(cropped)
        if self.noise:
            spectrum = spectrum + self._noise(cropped, generator)
        if self.band:
            spectrum = spectrum * self._gate(spectrum, generator)
        out: Tensor = torch.fft.irfft(spectrum, n=cropped.shape[1])
        return out

    def _noise(self, waves: Tensor, generator: torch.Generator) -> Tensor:
        """The spectrum of noise, scaled to the drawn ratio to each wave and absent from some."""
        chance, ratio, colour = torch.rand(3, len(waves), 1, generator=generator).to(waves.device)
        noise = torch.fft.rfft(torch.randn(waves.shape, generator=generator).to(waves.device))
        shape = torch.arange(1, noise.shape[1] + 1, device=waves.device) ** -colour
        shaped = torch.fft.irfft(noise * shape, n=waves.shape[1])
        wanted = 10 ** (-(self.snr[0] + ratio * (self.snr[1] - self.snr[0])) / 20) * _size(waves)
        scaled: Tensor = torch.fft.rfft(shaped) * (chance < self.noise) * wanted / _size(shaped)
        return scaled

    def _gate(self, spectrum: Tensor, generator: torch.Generator) -> Tensor:
        """Zeros in the drawn band of each wave, ones elsewhere."""
        width, place = torch.rand(2, len(spectrum), 1, generator=generator).to(spectrum.device)
        wide = width * self.band
        low = place * (RATE / 2 - wide)
        frequencies = torch.linspace(0, RATE / 2, spectrum.shape[1], device=spectrum.device)
        heard: Tensor = ((frequencies < low) | (frequencies >= low + wide)).to(torch.float32)
        return heard


def crop(waves: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """Return ``size`` samples of each wave (batch, time) from a random place; shorter waves are kept whole.

    >>> crop(torch.arange(4.0).expand(2, 4), 4, torch.Generator())
    tensor([[0., 1., 2., 3.],
            [0., 1., 2., 3.]])
    """
    room = waves.shape[1] - size
    if room <= 0:
        return waves
    starts = torch.randint(room + 1, (len(waves), 1), generator=generator).to(waves.device)
    return waves.gather(1, starts + torch.arange(size, device=waves.device))


def _size(waves: Tensor) -> Tensor:
    return waves.square().mean(dim=1, keepdim=True).sqrt().clamp_min(1e-8)
