"""Voices: the clips of every speaker, and the utterances that are joined from them."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import torch
from torch import Tensor

from prunus.errors import SettingError, require_count, require_number
from prunus.tasks.speaker import sound

RATE = 8000
"""Samples a second of everything here: telephone prompts know no more, and one band for all hides who has more."""


@dataclass(frozen=True)
class Voice:
    """The clips of one speaker: 16-bit samples end to end at 8 kHz, and where each clip ends.

    Parameters: ``name``; ``samples`` int16 (time,); ``ends`` int64 (clips,), rising, the last one the length;
    ``trials``: whether the speaker may be held out for trials (False: who speaks is not certain enough).

    Raises SettingError when the ends do not fit the samples.

    >>> voice = Voice("ada", torch.arange(5, dtype=torch.int16), torch.tensor([2, 5]))
    >>> [clip.tolist() for clip in voice.clips()]
    [[0, 1], [2, 3, 4]]
    """

    name: str
    samples: Tensor
    ends: Tensor
    trials: bool = True

    def __post_init__(self) -> None:
        steps = self.ends.diff(prepend=self.ends.new_zeros(1))
        if not len(self.ends) or (steps < 1).any() or self.ends[-1] != len(self.samples):
            raise SettingError(f"the ends of the clips of {self.name} do not fit its {len(self.samples)} samples")

    def clips(self) -> tuple[Tensor, ...]:
        """Return the clips, in order."""
        return self.samples.tensor_split(self.ends[:-1].cpu())

    def faster(self, speed: float) -> Voice:
        """Return the voice at ``speed`` times its speed, and its pitch; another person to most ears.

        Source: Ko, Peddinti, Povey, Khudanpur, "Audio augmentation for speech recognition", 2015.
        """
        require_number("speed", speed, 0.5, 2.0)
        ratio = Fraction(speed).limit_denominator(20)
        if ratio == 1:
            return self
        clips = [sound.resample(sound.unpacked(clip), *ratio.as_integer_ratio()) for clip in self.clips()]
        return joined(f"{self.name} x{float(ratio):g}", clips, trials=False)


def joined(name: str, clips: Sequence[Tensor], *, trials: bool = True) -> Voice:
    """Return a voice of clips in [-1, 1]; empty clips are left out.

    >>> joined("ada", [torch.zeros(3), torch.zeros(0), torch.zeros(2)]).ends.tolist()
    [3, 5]
    """
    kept = [sound.packed(clip) for clip in clips if len(clip)]
    if not kept:
        raise SettingError(f"no clip of {name} holds any sound")
    return Voice(name, torch.cat(kept), torch.tensor([len(clip) for clip in kept]).cumsum(0), trials)


def utterances(voice: Voice, seconds: float, count: int, seed: int = 0, *, again: bool = False) -> Tensor:
    """Return up to ``count`` utterances of one speaker, each of whole clips in random order, cut to ``seconds``.

    No two utterances share a clip, so fewer than ``count`` come back where the clips run out. ``again`` starts over in
    another order until there are ``count``: for training, where variety counts, never for trials, where two utterances
    with one recording in common would be recognised by it.

    Output (count, seconds · 8000) int16. The choice depends on ``seed`` and the speaker's name alone.

    >>> voice = joined("ada", [torch.full((4000,), 0.1 * number) for number in range(5)])
    >>> utterances(voice, 1.0, 10).shape, utterances(voice, 1.0, 10, again=True).shape
    (torch.Size([2, 8000]), torch.Size([10, 8000]))
    """
    require_number("seconds", seconds, 0.0, open_low=True)
    require_count("count", count)
    require_count("seed", seed, 0)
    generator = torch.Generator().manual_seed(zlib.crc32(f"{seed} {voice.name}".encode()))
    size = round(seconds * RATE)
    if again and len(voice.samples) < size:
        raise SettingError(f"{voice.name} has {len(voice.samples) / RATE:.1f} s in all, fewer than seconds={seconds}")
    found = list(_pass(voice, size, generator))[:count]
    while again and len(found) < count:
        found += list(_pass(voice, size, generator))[: count - len(found)]
    return torch.stack(found) if found else voice.samples.new_zeros(0, size)


def _pass(voice: Voice, size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Go once through the clips in random order, handing out what reaches ``size``; a rest is dropped."""
    clips, parts, length = voice.clips(), [], 0
    for place in torch.randperm(len(clips), generator=generator).tolist():
        parts.append(clips[place])
        length += len(clips[place])
        if length >= size:
            yield torch.cat(parts)[:size]
            parts, length = [], 0
