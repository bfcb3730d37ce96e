"""Sound and features: resampling is ideal interpolation, filters are the triangles of the books."""

from __future__ import annotations

import math
import wave
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from prunus.errors import MissingExtraError, SettingError
from prunus.tasks.speaker import LogMel, PowerMel, mel_filterbank, sound
from tests.twins import speaker as twin


def write_wav(path: Path, values: list[list[int]], rate: int = 8000, width: int = 2) -> Path:
    """One list a channel."""
    with wave.open(str(path), "wb") as file:
        file.setparams((len(values), width, rate, 0, "NONE", ""))
        frames = [number for frame in zip(*values, strict=True) for number in frame]
        file.writeframes(b"".join(number.to_bytes(width, "little", signed=width > 1) for number in frames))
    return path


@given(st.sampled_from([(441, 80), (8, 16), (16, 8), (9, 10), (11, 10), (3, 2)]), st.integers(0, 1000))
def test_resampling_is_ideal_interpolation(ratio: tuple[int, int], seed: int) -> None:
    """Of smooth bumps, which hold nothing near the cut and are over before the ends."""
    time = torch.arange(200, dtype=torch.float64)[:, None]
    places, heights = torch.rand(2, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    values = (heights * torch.exp(-(((time - 70 - 60 * places) / 12) ** 2))).sum(dim=1)
    found = sound.resample(values, *ratio)
    assert len(found) == math.ceil(200 * ratio[1] / ratio[0])
    expected = twin.sinc_resample(values.tolist(), *ratio, len(found))
    assert found.tolist() == pytest.approx(expected, abs=1e-6)


def test_a_tone_keeps_its_height_and_frequency() -> None:
    time = torch.arange(44_100) / 44_100
    tone = sound.resample(torch.sin(2 * torch.pi * 1000 * time), 44_100, 8000)
    expected = torch.sin(2 * torch.pi * 1000 * torch.arange(8000) / 8000)
    assert (tone - expected)[500:-500].abs().max() < 1e-3
    above = sound.resample(torch.sin(2 * torch.pi * 5000 * time), 44_100, 8000)
    assert above[500:-500].abs().max() < 1e-3


def test_resampling_works_in_batches_and_passes_gradients() -> None:
    waves = torch.randn(3, 100, requires_grad=True)
    found = sound.resample(waves, 8000, 16_000)
    found.sum().backward()
    assert found.shape == (3, 200) and waves.grad is not None
    assert torch.allclose(found[1], sound.resample(waves[1], 8000, 16_000), atol=1e-6)


def test_wav_is_read_without_soundfile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "soundfile", None)
    samples, rate = sound.read(write_wav(tmp_path / "a.wav", [[16384, 0], [0, -32768]], 11_025))
    assert samples.tolist() == [0.25, -0.5] and rate == 11_025
    assert sound.read(write_wav(tmp_path / "empty.wav", [[]]))[0].shape == (0,)
    with pytest.raises(MissingExtraError, match=r"prunus\[speech\]"):
        sound.read(tmp_path / "a.ogg")
    with pytest.raises(MissingExtraError, match="no 16-bit wav"):
        sound.read(write_wav(tmp_path / "b.wav", [[1, 2]], width=1))
    (tmp_path / "c.wav").write_bytes(b"RIFF")
    with pytest.raises(SettingError, match=r"c\.wav cannot be read"):
        sound.read(tmp_path / "c.wav")


def test_silence_goes_and_what_is_near_sound_stays() -> None:
    quiet, loud = 1e-4 * torch.ones(8000), torch.ones(1600)
    found = sound.voiced(torch.cat([quiet, loud, quiet, loud]), 8000)
    assert len(found) == 1600 + 800 + 800 + 800 + 1600
    assert len(sound.voiced(torch.zeros(8000), 8000)) == len(sound.voiced(torch.ones(5), 8000)) == 0


def test_packing_loses_half_a_step_at_most() -> None:
    values = torch.rand(1000) * 1.9 - 0.95
    assert (sound.unpacked(sound.packed(values)) - values).abs().max() <= 0.5 / 2**15 + 1e-8


@pytest.mark.parametrize("scale", ["htk", "slaney"])
@pytest.mark.parametrize(
    ("bands", "n_fft", "rate", "low", "high"), [(40, 400, 16_000, 0.0, 8000.0), (8, 64, 8000, 20.0, 3800.0)]
)
def test_filters_equal_their_twin(scale: str, bands: int, n_fft: int, rate: int, low: float, high: float) -> None:
    found = mel_filterbank(bands, n_fft, rate, low, high, scale)
    expected = torch.tensor(twin.mel_filterbank(bands, n_fft, rate, low, high, scale))
    assert torch.allclose(found, expected, atol=1e-6)


def test_slaneys_filters_have_the_same_area_and_htks_the_same_height() -> None:
    wide, tall = (mel_filterbank(10, 4096, 16_000, scale=scale) for scale in ("slaney", "htk"))
    assert (wide.sum(dim=0) * 16_000 / 4096).tolist() == pytest.approx([1.0] * 10, abs=0.01)
    assert tall.max(dim=0).values.tolist() == pytest.approx([1.0] * 10, abs=0.05)


@pytest.mark.parametrize("settings", [{"bands": 0}, {"low": 5000.0}, {"high": 10.0, "low": 20.0}, {"scale": "bark"}])
def test_impossible_filters_are_refused(settings) -> None:
    with pytest.raises(SettingError):
        mel_filterbank(**{"bands": 4, "n_fft": 64, "rate": 8000, **settings})


def test_log_mel_forgets_gain_and_power_mel_too() -> None:
    waves = 0.1 * torch.randn(2, 8000)
    for features in (LogMel(40), PowerMel()):
        assert torch.allclose(features(waves), features(0.3 * waves), atol=2e-3, rtol=1e-3)
    assert LogMel(40)(waves).mean(dim=2).abs().max() < 1e-5
    assert not list(LogMel(40).parameters()) and not LogMel(40).state_dict()
