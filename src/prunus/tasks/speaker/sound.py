"""Sound: read a file, resample it, drop its silence, set its level."""

from __future__ import annotations

import math
import sys
import wave
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from prunus.errors import MissingExtraError, SettingError, require_count, require_number

LEVEL = -30.0
"""Level of every clip in dB below full scale, by its root mean square."""
FRAME = 0.02
REACH = 5
FULL = 2**15


def read(path: Path) -> tuple[Tensor, int]:
    """Return the samples of a sound file, channels averaged, as float32 in [-1, 1], and its rate in Hz.

    soundfile reads wav, ogg, opus and gsm; without it the standard library reads 16-bit wav.

    Raises MissingExtraError for a format that needs soundfile, SettingError for a file that is damaged.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "a.wav"
    >>> with wave.open(str(path), "wb") as file:
    ...     file.setparams((1, 2, 8000, 0, "NONE", ""))
    ...     file.writeframes(bytes([0, 64, 0, 192]))
    >>> read(path)
    (tensor([ 0.5000, -0.5000]), 8000)
    """
    try:
        import soundfile
    except ImportError:
        return _read_wav(path)
    try:
        values, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, OSError) as fault:
        raise SettingError(f"{path} cannot be read as sound: {fault}") from None
    return torch.from_numpy(values).mean(dim=1), int(rate)


def _read_wav(path: Path) -> tuple[Tensor, int]:
    if path.suffix != ".wav":
        raise MissingExtraError(f"{path} needs soundfile: pip install 'prunus[speech]'")
    try:
        with wave.open(str(path), "rb") as file:
            content, channels, width = file.readframes(-1), file.getnchannels(), file.getsampwidth()
            rate = file.getframerate()
    except (wave.Error, EOFError, OSError) as fault:
        raise SettingError(f"{path} cannot be read as wav: {fault}") from None
    if width != 2 or sys.byteorder != "little":
        raise MissingExtraError(f"{path} is no 16-bit wav, so it needs soundfile: pip install 'prunus[speech]'")
    values = torch.frombuffer(bytearray(content), dtype=torch.int16) if content else torch.zeros(0)
    return values.view(-1, channels).float().mean(dim=1) / FULL, rate


def resample(sound: Tensor, old: int, new: int) -> Tensor:
    r"""Return ``sound`` (…, time) at the rate ``new`` instead of ``old``, ideally band-limited.

    The spectrum is cut (or filled with zeros) at half the lower rate, which equals the sum over :math:`x_n
    \operatorname{sinc}(\cdot)` of a signal that repeats; some silence is added first, so that the end does not reach
    the beginning. Output of ⌈n · new / old⌉ samples.

    Args:
        sound: floating point, any number of leading dimensions.
        old, new: rates in Hz, whole numbers; only their ratio matters.

    Raises SettingError for rates below 1. Differentiable. Use it for clips that fit into memory.

    >>> bump = torch.exp(-torch.linspace(-5, 5, 101).square())
    >>> resample(bump, 100, 200)[99:102]
    tensor([0.9975, 1.0000, 0.9975])
    """
    require_count("old", old)
    require_count("new", new)
    common = math.gcd(old, new)
    up, down = new // common, old // common
    if up == down or sound.shape[-1] == 0:
        return sound
    blocks = math.ceil(sound.shape[-1] / down) + math.ceil(64 / min(up, down))
    spectrum = torch.fft.rfft(F.pad(sound, (0, blocks * down - sound.shape[-1])))
    kept = spectrum[..., : (blocks * min(up, down) + 1) // 2]
    wide = F.pad(kept, (0, blocks * up // 2 + 1 - kept.shape[-1]))
    out: Tensor = torch.fft.irfft(wide, n=blocks * up) * (up / down)
    return out[..., : math.ceil(sound.shape[-1] * up / down)]


def voiced(sound: Tensor, rate: int, floor: float = 40.0) -> Tensor:
    """Return ``sound`` (time,) without its silence: frames of 20 ms more than 100 ms from any that is loud.

    Loud is within ``floor`` dB of the loudest frame. The last, unfinished frame is dropped.

    >>> beep = torch.cat([torch.zeros(8000), torch.ones(800), torch.zeros(8000)])
    >>> len(voiced(beep, 8000)) / 8000
    0.3
    """
    require_number("floor", floor, 0.0, open_low=True)
    size = max(1, round(FRAME * rate))
    frames = sound[: len(sound) // size * size].view(-1, size)
    energy = frames.square().mean(dim=1)
    if not len(energy) or energy.max() <= 0:
        return sound[:0]
    loud = (energy >= energy.max() * 10 ** (-floor / 10)).float()
    near = F.max_pool1d(loud[None, None], 2 * REACH + 1, stride=1, padding=REACH)[0, 0].bool()
    return frames[near].flatten()


def levelled(sound: Tensor, level: float = LEVEL) -> Tensor:
    """Return ``sound`` scaled to a root mean square of ``level`` dB below full scale, clipped to [-1, 1].

    >>> levelled(torch.tensor([1.0, -1.0]), -20.0)
    tensor([ 0.1000, -0.1000])
    """
    require_number("level", level, -100.0, 0.0)
    size = sound.square().mean(dim=-1, keepdim=True).sqrt().clamp_min(1e-8)
    return (sound * (10 ** (level / 20) / size)).clamp(-1.0, 1.0)


def packed(sound: Tensor) -> Tensor:
    """Return ``sound`` in [-1, 1] as 16-bit integers, a quarter of the memory of a float64 and half of a float32.

    >>> packed(torch.tensor([0.5, -1.0, 1.0]))
    tensor([ 16384, -32768,  32767], dtype=torch.int16)
    """
    return (sound * FULL).round().clamp(-FULL, FULL - 1).to(torch.int16)


def unpacked(sound: Tensor) -> Tensor:
    """Return 16-bit ``sound`` as float32 in [-1, 1).

    >>> unpacked(torch.tensor([16384], dtype=torch.int16))
    tensor([0.5000])
    """
    return sound.to(torch.float32) / FULL
