"""Synthetic voices: buzzing sources through moving formants. They test the code and say nothing about speech."""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from prunus.errors import require_count
from prunus.tasks.speaker.sound import levelled
from prunus.tasks.speaker.voices import RATE, Voice, joined

VOWELS = torch.tensor(
    [
        [730.0, 1090.0, 2440.0],
        [270.0, 2290.0, 3010.0],
        [300.0, 870.0, 2240.0],
        [530.0, 1840.0, 2480.0],
        [570.0, 840.0, 2410.0],
    ]
)
"""The first three formants of five vowels in Hz (Peterson and Barney, 1952, men)."""
BANDWIDTH = 90.0
SYLLABLE = RATE // 5


@functools.cache
def voices(speakers: int = 24, clips: int = 40, seed: int = 0) -> tuple[Voice, ...]:
    """Return voices that no human has: each with a pitch, a vocal tract and a breath of its own, the same for a seed.

    A clip is three to six vowels of 0.2 s: an impulse train whose pitch wavers, with some noise, through resonances at
    the vowel's formants times the speaker's factor. Use them where the real recordings cannot be had: to test code. An
    error rate on them says that the pipeline works, not how well it knows people.

    >>> ada, bob = voices(speakers=2, clips=3)
    >>> ada.name, len(ada.ends), ada.samples.equal(bob.samples)
    ('synthetic 0', 3, False)
    """
    require_count("speakers", speakers)
    require_count("clips", clips)
    require_count("seed", seed, 0)
    seeds = range(1000 * seed, 1000 * seed + speakers)
    return tuple(_voice(number, clips, torch.Generator().manual_seed(one)) for number, one in enumerate(seeds))


def _voice(number: int, clips: int, generator: torch.Generator) -> Voice:
    pitch, tract, breath = torch.rand(3, generator=generator).tolist()
    counts = torch.randint(3, 7, (clips,), generator=generator)
    total = int(counts.sum())
    vowels = VOWELS[torch.randint(len(VOWELS), (total,), generator=generator)] * (0.85 + 0.35 * tract)
    source = _source(80.0 * 3.0**pitch, 0.02 + 0.1 * breath, total * SYLLABLE, generator).view(total, SYLLABLE)
    spectrum = torch.fft.rfft(source) * _resonances(vowels, SYLLABLE // 2 + 1)
    spoken = levelled(torch.fft.irfft(spectrum, n=SYLLABLE).flatten())
    return joined(f"synthetic {number}", spoken.split((counts * SYLLABLE).tolist()))


def _source(pitch: float, breath: float, length: int, generator: torch.Generator) -> Tensor:
    """An impulse each time the phase of a wavering pitch passes a whole number, and noise."""
    time = torch.arange(length) / RATE
    start, depth = torch.rand(2, generator=generator).tolist()
    wavering = pitch * (1 + 0.1 * depth * torch.sin(2 * torch.pi * (3 * time + start)))
    phase = wavering.cumsum(0) / RATE
    pulses: Tensor = phase.floor().diff(prepend=phase.new_zeros(1))
    return pulses + breath * torch.randn(length, generator=generator)


def _resonances(formants: Tensor, bins: int) -> Tensor:
    """The gain (vowels, bins) of a sum of resonances 1 / (1 + ((f - F) / B)²)."""
    frequencies = torch.linspace(0, RATE / 2, bins)
    gains: Tensor = (1 / (1 + ((frequencies - formants[..., None]) / BANDWIDTH).square())).sum(dim=1)
    return gains
