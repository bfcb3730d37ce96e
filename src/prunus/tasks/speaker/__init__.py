"""Speaker verification on packaged prompts: recorded voices, features, encoders, margin loss, error rates.

A packaged-prompt benchmark: about 40 people from Debian's sound packages, each with a language and a recording channel
of their own. Real voices, a small and easy test; docs/methods/speaker.md says how it is made and what it cannot show.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from prunus.tasks.speaker.augment import Augment
from prunus.tasks.speaker.bootstrap import Interval, bootstrap, resamples
from prunus.tasks.speaker.encoders import (
    MODELS,
    Encoder,
    build,
    ecapa_tdnn_small,
    resemblyzer,
    x_vector,
    x_vector_small,
)
from prunus.tasks.speaker.features import LogMel, PowerMel, mel_filterbank
from prunus.tasks.speaker.margin import AAMSoftmax, aam_logits
from prunus.tasks.speaker.metrics import Rates, eer, min_dcf, rates
from prunus.tasks.speaker.source import SyntheticVoices, VoiceSet, load
from prunus.tasks.speaker.trials import Trials, all_pairs
from prunus.tasks.speaker.voices import Voice, utterances

if TYPE_CHECKING:
    from prunus.tasks.speaker.data_module import SpeakerData, Utterances, split
    from prunus.tasks.speaker.module import SpeakerModule

WITH_LIGHTNING = {
    "SpeakerData": "data_module",
    "SpeakerModule": "module",
    "Utterances": "data_module",
    "split": "data_module",
}
"""Where the names are that need Lightning; the others do without."""

__all__ = [
    "MODELS",
    "WITH_LIGHTNING",
    "AAMSoftmax",
    "Augment",
    "Encoder",
    "Interval",
    "LogMel",
    "PowerMel",
    "Rates",
    "SpeakerData",
    "SpeakerModule",
    "SyntheticVoices",
    "Trials",
    "Utterances",
    "Voice",
    "VoiceSet",
    "aam_logits",
    "all_pairs",
    "bootstrap",
    "build",
    "ecapa_tdnn_small",
    "eer",
    "load",
    "mel_filterbank",
    "min_dcf",
    "rates",
    "resamples",
    "resemblyzer",
    "split",
    "utterances",
    "x_vector",
    "x_vector_small",
]


def __getattr__(name: str) -> Any:
    """Import what needs Lightning when it is asked for, behind the guard against a broken torchvision."""
    if name not in WITH_LIGHTNING:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    importlib.import_module("prunus.integrations.lightning")
    return getattr(importlib.import_module(f"{__name__}.{WITH_LIGHTNING[name]}"), name)
