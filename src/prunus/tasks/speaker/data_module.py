"""The data of a verification run: speakers to train on, to validate with and to test with, nobody in two of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor

from prunus.errors import Faults, SettingError, require_count, require_known, require_number
from prunus.integrations.loop import ResumableLoader
from prunus.tasks.speaker.source import SOURCES, load
from prunus.tasks.speaker.voices import Voice, utterances

FEWEST = 4
"""Utterances that a held-out speaker must have."""


@dataclass(frozen=True)
class Utterances:
    """Utterances of some speakers: ``waves`` int16 (count, time) at 8 kHz, ``labels`` (count,) places in ``names``.

    >>> Utterances(torch.zeros(2, 8, dtype=torch.int16), torch.tensor([0, 1]), ("ada", "bob")).minutes
    3.33e-05
    """

    waves: Tensor
    labels: Tensor
    names: tuple[str, ...]

    @property
    def minutes(self) -> float:
        """The length of all utterances together."""
        return self.waves.numel() / 8000 / 60


class SpeakerData(LightningDataModule):
    """Utterances of recorded (or synthetic) speakers, with speakers held out for validation and for the test.

    The test speakers are drawn by ``seed`` from those of whom it is certain who speaks, the validation speakers from
    the rest of those; all others are for training. Test and validation utterances share no clip with each other;
    training utterances are as many for every speaker.

    Args:
        batch_size: utterances of a training batch.
        seconds: length of an utterance.
        held_out: test speakers, at least 2.
        seed: of the split, of the utterances and of the order of training.
        cap: utterances at most of a validation or test speaker.
        source: auto, debian or synthetic, see :func:`prunus.tasks.speaker.load`.
        cache: folder of the prepared voices; None is the default one.
        valid: validation speakers, at least 2; they choose the best checkpoint, so the test speakers need not.
        per_speaker: training utterances of each speaker, the clips reused in new orders until there are as many.
        speeds: each further speed makes another speaker of every training speaker (0.9 and 1.1 are usual).
        eval_batch_size: utterances of a validation or test batch.

    Errors: SettingError for settings out of range and for more held-out speakers than there are; those of ``load``.

    >>> data = SpeakerData(source="synthetic", seconds=1.0, held_out=4, valid=3, per_speaker=8)
    >>> data.setup("fit")
    >>> data.speakers, len(data.train_dataloader()), data.test.names[:1]
    (17, 2, ('synthetic 3',))
    """

    def __init__(
        self,
        batch_size: int = 64,
        seconds: float = 3.0,
        held_out: int = 12,
        seed: int = 0,
        cap: int = 16,
        source: str = "auto",
        cache: str | Path | None = None,
        *,
        valid: int = 6,
        per_speaker: int = 64,
        speeds: Sequence[float] = (1.0,),
        eval_batch_size: int = 64,
    ) -> None:
        super().__init__()
        counts = {"batch_size": batch_size, "cap": cap, "per_speaker": per_speaker, "eval_batch_size": eval_batch_size}
        for name, value in counts.items():
            require_count(name, value)
        for name, value, low in (("held_out", held_out, 2), ("valid", valid, 2), ("seed", seed, 0)):
            require_count(name, value, low)
        require_number("seconds", seconds, 0.5)
        require_known("source", source, SOURCES)
        for speed in speeds:
            require_number("speeds", speed, 0.5, 2.0)
        if len(set(speeds)) < len(speeds) or not speeds:
            raise SettingError(f"speeds is {tuple(speeds)}, expected one or more different speeds")
        self.batch_size, self.seconds, self.held_out, self.seed, self.cap = batch_size, seconds, held_out, seed, cap
        self.voice_source, self.cache, self.valid_speakers, self.per_speaker = source, cache, valid, per_speaker
        self.speeds, self.eval_batch_size = tuple(speeds), eval_batch_size
        self.source = ""

    def prepare_data(self) -> None:
        """Fetch and prepare the recordings, once on each machine."""
        load(self.voice_source, self.cache)

    def setup(self, stage: str | None = None) -> None:
        """Split the speakers and make the utterances, the same for the same settings."""
        if self.source:
            return
        found = load(self.voice_source, self.cache)
        test, valid, train = split(found.voices, self.held_out, self.valid_speakers, self.seed, self._size)
        faster = [voice.faster(speed) for speed in self.speeds for voice in train]
        self.train = self._gathered(faster, self.per_speaker, again=True)
        self.valid, self.test = self._gathered(valid, self.cap), self._gathered(test, self.cap)
        self.source = found.source

    @property
    def speakers(self) -> int:
        """How many classes training has: speakers times speeds. Known after :meth:`setup`."""
        if not self.source:
            raise SettingError("the speakers are known after setup()")
        return len(self.train.names)

    def train_dataloader(self) -> ResumableLoader:
        """Return batches of (waves, labels), the share of this process in a distributed run."""
        rank, world = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        waves, labels = self.train.waves, self.train.labels
        return ResumableLoader(
            waves, labels, batch_size=self.batch_size, seed=self.seed, drop_last=True, rank=rank, world_size=world
        )

    def val_dataloader(self) -> ResumableLoader:
        """Return the validation utterances, all of them in every process."""
        return self._in_order(self.valid)

    def test_dataloader(self) -> ResumableLoader:
        """Return the test utterances, all of them in every process."""
        return self._in_order(self.test)

    @property
    def _size(self) -> int:
        """Samples that a held-out speaker must have for FEWEST utterances, rests of clips included."""
        return round(2 * FEWEST * self.seconds * 8000)

    def _in_order(self, one: Utterances) -> ResumableLoader:
        return ResumableLoader(one.waves, one.labels, batch_size=self.eval_batch_size, shuffle=False)

    def _gathered(self, voices: Sequence[Voice], count: int, again: bool = False) -> Utterances:
        waves = [utterances(voice, self.seconds, count, self.seed, again=again) for voice in voices]
        labels = torch.arange(len(waves)).repeat_interleave(torch.tensor([len(one) for one in waves]))
        return Utterances(torch.cat(waves), labels, tuple(voice.name for voice in voices))


def split(
    voices: Sequence[Voice], held_out: int, valid: int, seed: int, fewest: int = 1
) -> tuple[list[Voice], list[Voice], list[Voice]]:
    """Return test, validation and training voices; the first two are drawn from those marked for trials, by ``seed``.

    ``fewest`` is the number of samples that a voice needs to be held out.

    >>> from prunus.tasks.speaker import synthetic
    >>> [[voice.name[-1] for voice in part] for part in split(synthetic.voices(5, 1), 2, 1, seed=1)]
    [['0', '4'], ['2'], ['1', '3']]
    """
    able = [voice for voice in voices if voice.trials and len(voice.samples) >= fewest]
    if held_out + valid > len(able) or held_out + valid > len(voices) - 2:
        faults = Faults("too few speakers")
        faults.add(f"held_out={held_out} and valid={valid}, but {len(able)} of {len(voices)} can be held out")
        faults.raise_as(SettingError)
    order = torch.randperm(len(able), generator=torch.Generator().manual_seed(seed)).tolist()
    test = {able[place].name for place in order[:held_out]}
    others = {able[place].name for place in order[held_out : held_out + valid]}
    return (
        [voice for voice in voices if voice.name in test],
        [voice for voice in voices if voice.name in others],
        [voice for voice in voices if voice.name not in test | others],
    )
