"""Voices: utterances of whole clips that share nothing, a split that keeps speakers apart, and where they come from."""

from __future__ import annotations

import os
import stat
import warnings
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from prunus.checkpoints import write
from prunus.errors import MissingExtraError, SettingError
from prunus.tasks.speaker import SpeakerData, SyntheticVoices, Voice, debian, load, source, split, synthetic, utterances
from prunus.tasks.speaker.voices import RATE, joined
from tests.tasks.speaker.test_sound import write_wav


def marked(lengths: list[int], name: str = "ada") -> Voice:
    """A voice whose clips hold their own number."""
    samples = torch.arange(1, len(lengths) + 1).repeat_interleave(torch.tensor(lengths)).to(torch.int16)
    return Voice(name, samples, torch.tensor(lengths).cumsum(0))


@given(st.lists(st.integers(1, 9000), min_size=1, max_size=40), st.integers(0, 99), st.integers(1, 6))
def test_utterances_share_no_clip_and_are_full(lengths: list[int], seed: int, count: int) -> None:
    found = utterances(marked(lengths), 1.0, count, seed)
    assert found.shape[1] == RATE and len(found) <= count and (found > 0).all()
    heard = [set(row.tolist()) for row in found]
    assert sum(map(len, heard)) == len(set().union(*heard))
    assert sum(lengths) < RATE or len(found) > 0


def test_the_choice_depends_on_seed_and_name_alone() -> None:
    voice = marked([1000] * 40)
    assert utterances(voice, 1.0, 3, 1).equal(utterances(voice, 1.0, 3, 1))
    assert not utterances(voice, 1.0, 3, 1).equal(utterances(voice, 1.0, 3, 2))
    assert not utterances(voice, 1.0, 3, 1).equal(utterances(marked([1000] * 40, "bob"), 1.0, 3, 1))
    assert utterances(voice, 1.0, 5, 1)[:3].equal(utterances(voice, 1.0, 3, 1))


def test_training_starts_over_and_refuses_too_short_a_voice() -> None:
    assert len(utterances(marked([5000, 5000]), 1.0, 7, again=True)) == 7
    with pytest.raises(SettingError, match=r"ada has 0\.5 s in all, fewer than seconds=1"):
        utterances(marked([4000]), 1.0, 7, again=True)


@pytest.mark.parametrize("ends", [[], [2, 2, 4], [3], [5]])
def test_ends_that_do_not_fit_are_refused(ends: list[int]) -> None:
    with pytest.raises(SettingError, match="ends of the clips of ada"):
        Voice("ada", torch.zeros(4, dtype=torch.int16), torch.tensor(ends, dtype=torch.long))


def test_a_faster_voice_is_shorter_higher_and_somebody_else() -> None:
    tone = torch.sin(2 * torch.pi * 500 * torch.arange(RATE) / RATE)
    voice = joined("ada", [0.5 * tone, 0.5 * tone[:4000]]).faster(1.25)
    assert (voice.name, voice.trials, voice.ends.tolist()) == ("ada x1.25", False, [6400, 9600])
    assert int(torch.fft.rfft(voice.clips()[0].float()).abs().argmax()) == 500
    assert voice.faster(1.0) is voice


def test_the_split_keeps_everybody_in_one_part_and_the_unsure_in_training() -> None:
    unsure = [joined(f"unsure {number}", [torch.ones(10)], trials=False) for number in range(3)]
    voices = [*synthetic.voices(8, 1), *unsure]
    test, valid, train = split(voices, 3, 2, seed=4)
    assert [len(part) for part in (test, valid, train)] == [3, 2, 6]
    assert {voice.name for part in (test, valid, train) for voice in part} == {voice.name for voice in voices}
    assert sum(not voice.trials for voice in train) == 3
    assert [v.name for v in split(voices, 3, 2, seed=4)[0]] == [v.name for v in test]
    with pytest.raises(SettingError, match="held_out=7 and valid=2, but 8 of 11 can be held out"):
        split(voices, 7, 2, seed=0)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"batch_size": 0}, "batch_size"),
        ({"held_out": 1}, "held_out"),
        ({"valid": 1}, "valid"),
        ({"seconds": 0.1}, "seconds"),
        ({"source": "debain"}, "Did you mean 'debian'"),
        ({"speeds": (1.0, 1.0)}, "different speeds"),
        ({"speeds": (3.0,)}, "speeds is 3.0"),
        ({"speeds": ()}, "one or more"),
    ],
)
def test_impossible_data_is_refused(settings, said: str) -> None:
    with pytest.raises(SettingError, match=said):
        SpeakerData(**settings)


def test_speeds_make_more_speakers_of_the_same_size() -> None:
    data = SpeakerData(source="synthetic", seconds=0.5, held_out=10, valid=10, per_speaker=3, speeds=(1.0, 1.1))
    with pytest.raises(SettingError, match="after setup"):
        _ = data.speakers
    data.setup()
    assert data.speakers == 8 and data.train.labels.bincount().tolist() == [3] * 8
    assert len(data.test.names) == 10 and not set(data.test.names) & set(data.valid.names)
    assert "say nothing about speakers" in data.source


def broken_apt(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An apt-get that finds no network."""
    tool = folder / "bin" / "apt-get"
    tool.parent.mkdir()
    tool.write_text("#!/bin/sh\necho 'E: Unable to fetch some archives' >&2\nexit 100\n")
    tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
    (folder / "bin" / "dpkg-deb").symlink_to(tool)
    monkeypatch.setenv("PATH", f"{tool.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: True)


def test_without_network_it_says_so_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken_apt(tmp_path, monkeypatch)
    cache = tmp_path / "cache"
    with pytest.raises(SettingError, match="Unable to fetch some archives"):
        load("debian", cache)
    with pytest.warns(SyntheticVoices, match=r"Unable to fetch some archives.*say nothing about speakers"):
        found = load("auto", cache)
    assert found.source == source.SYNTHETIC and list(cache.iterdir()) == []


def test_without_apt_or_soundfile_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"prunus\[speech\]"):
        load("debian", tmp_path)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: True)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SettingError, match="no apt-get"):
        load("debian", tmp_path)


def test_prepared_voices_are_read_from_the_cache(tmp_path: Path) -> None:
    voices = synthetic.voices(2, 2)
    write(tmp_path / source.FILE, {"source": "s", "versions": {}, "voices": [vars(voice) for voice in voices]})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = load("auto", tmp_path)
    assert found.source == "s" and found.voices[1].samples.equal(voices[1].samples)


@pytest.fixture
def share(tmp_path: Path) -> Path:
    """The folders of the packages, with one short tone in each, at a rate of its own."""
    for number, place in enumerate({place for places in debian.folders(tmp_path).values() for place in places}):
        place.mkdir(parents=True)
        rate = (8000, 11_025, 16_000)[number % 3]
        tone = (8000 * torch.sin(2 * torch.pi * 300 * torch.arange(rate) / rate)).int().tolist()
        write_wav(place / "a.wav", [tone], rate)
    silence = tmp_path / "asterisk" / "sounds" / "fr" / "silence"
    silence.mkdir()
    write_wav(silence / "b.wav", [[0] * 8000])
    return tmp_path


def test_every_folder_becomes_a_voice_at_one_rate_and_level(share: Path) -> None:
    found = {voice.name: voice for voice in debian.voices(share)}
    assert len(found) == 40 and len(found["asterisk allison"].ends) == 2 and len(found["asterisk armelle"].ends) == 1
    assert len(found["klettres nds"].ends) == 3 and len(found["klettres de"].ends) == 1
    assert sum(voice.trials for voice in found.values()) == 25
    for voice in found.values():
        assert len(voice.clips()[0]) == pytest.approx(RATE, abs=2)
        assert voice.clips()[0].float().square().mean().sqrt() / 2**15 == pytest.approx(10**-1.5, rel=1e-2)


def test_a_package_that_changed_is_named(share: Path) -> None:
    (share / "klettres" / "nb" / "alpha" / "a.wav").unlink()
    (share / "klettres" / "nb" / "syllab" / "a.wav").unlink()
    with pytest.raises(SettingError, match="no sound files of klettres nb"):
        list(debian.voices(share))
