"""Which voices there are: recorded ones, prepared once and kept, or synthetic ones, which say so."""

from __future__ import annotations

import importlib.util
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path

from prunus.checkpoints import read, write
from prunus.errors import MissingExtraError, SettingError, require_known
from prunus.tasks.speaker import cache, debian, synthetic
from prunus.tasks.speaker.voices import Voice

SOURCES = ("auto", "debian", "synthetic")
FILE = "debian-1.pt"
"""The prepared voices; the number changes with the recipe."""
SYNTHETIC = "Synthetic voices (no recordings): error rates on them test the code and say nothing about speakers."


class SyntheticVoices(UserWarning):
    """Recorded voices were wanted and synthetic ones are used.

    >>> warnings.simplefilter("error", SyntheticVoices)  # make sure of recorded voices
    """


@dataclass(frozen=True)
class VoiceSet:
    """All voices of one source, and the sentence that says what they are.

    >>> load("synthetic").voices[0].name
    'synthetic 0'
    """

    source: str
    voices: tuple[Voice, ...]


def load(source: str = "auto", folder: str | Path | None = None) -> VoiceSet:
    """Load the voices: ``debian``, recordings of 40 people; ``synthetic``; ``auto``, recordings where they can be had.

    The first use of the recordings fetches ten Debian packages (210 MB; apt, network and soundfile needed, no root) and
    prepares them in about a minute; what stays is one file in ``folder`` (by default $PRUNUS_CACHE/speaker or
    ~/.cache/prunus/speaker), whole or absent. ``auto`` warns SyntheticVoices with the reason when it falls back.

    Raises SettingError for an unknown source or when ``debian`` cannot be fetched, MissingExtraError without soundfile.

    >>> load("synthetic").source.startswith("Synthetic")
    True
    """
    require_known("source", source, SOURCES)
    if source == "synthetic":
        return VoiceSet(SYNTHETIC, synthetic.voices())
    try:
        return recorded(folder)
    except (SettingError, MissingExtraError) as fault:
        if source == "debian":
            raise
        warnings.warn(f"{fault}. {SYNTHETIC} source='debian' makes this an error.", SyntheticVoices, stacklevel=2)
        return load("synthetic")


def recorded(folder: str | Path | None = None) -> VoiceSet:
    """Return the recorded voices from the cache, fetched and prepared first where the cache lacks them."""
    path = cache.folder(folder) / FILE
    if not path.is_file():
        prepare(path)
    state = read(path)
    return VoiceSet(state["source"], tuple(Voice(**one) for one in state["voices"]))


def prepare(path: Path) -> None:
    """Fetch the packages into a folder beside ``path``, write the prepared voices to ``path``, delete the folder."""
    if importlib.util.find_spec("soundfile") is None:
        raise MissingExtraError("the recorded voices are ogg, opus and gsm files: pip install 'prunus[speech]'")
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fetching-", dir=path.parent) as folder:
        versions = debian.fetch(Path(folder))
        found = [vars(voice) for voice in debian.voices(Path(folder) / "usr" / "share")]
        write(path, {"source": _sentence(versions, found), "versions": versions, "voices": found})


def _sentence(versions: dict[str, str], found: list[dict[str, object]]) -> str:
    return f"Packaged prompts: recordings of {len(found)} speakers from {len(versions)} Debian sound packages."
