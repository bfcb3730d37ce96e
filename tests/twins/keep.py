"""Selection by sorting every candidate as a Python float: slow, obvious, exact for every dtype."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def exactly(scores: Sequence[Tensor], keep: int, *, among: Sequence[Tensor] | None = None) -> list[Tensor]:
    """Keep the first ``keep`` candidates in the order: higher score, earlier tensor, lower row-major index."""
    places = []
    for number, score in enumerate(scores):
        for index, value in enumerate(score.reshape(-1).tolist()):
            if among is None or among[number].reshape(-1)[index]:
                places.append((-value, number, index))
    masks = [torch.zeros(score.shape, dtype=torch.bool) for score in scores]
    for _, number, index in sorted(places)[:keep]:
        masks[number].view(-1)[index] = True
    return masks
