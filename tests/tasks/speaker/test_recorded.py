"""On a machine that has the recordings and the published weights: the encoder knows people it never heard."""

from __future__ import annotations

import pytest
import torch

from prunus.tasks.speaker import SpeakerData, all_pairs, build, cache, source
from prunus.tasks.speaker.sound import unpacked

CACHED = [(cache.folder() / name).is_file() for name in (source.FILE, "resemblyzer-0.1.4.pt")]


@pytest.mark.skipif(
    not all(CACHED), reason="needs the prepared recordings and weights: benchmarks/speaker.py fetches both"
)
def test_published_weights_tell_recorded_people_apart() -> None:
    data = SpeakerData(source="debian", cap=4, per_speaker=1)
    data.setup()
    encoder = build("resemblyzer", published=True).eval()
    with torch.inference_mode():
        trials = all_pairs(encoder(unpacked(data.test.waves)), data.test.labels)
    assert len(data.test.labels) == 48 and trials.eer < 0.12
