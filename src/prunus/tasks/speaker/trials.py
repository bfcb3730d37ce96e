"""Trials: every pair of held-out utterances, scored by the cosine of their embeddings."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from prunus.errors import SettingError, require_count
from prunus.tasks.speaker.bootstrap import Interval, bootstrap
from prunus.tasks.speaker.metrics import Rates, rates


@dataclass(frozen=True)
class Trials:
    """Scored pairs of utterances: ``scores`` float32, ``first`` and ``second`` the speakers of the pair, all (trials,).

    >>> trials = Trials(torch.tensor([0.9, 0.1]), torch.tensor([0, 0]), torch.tensor([0, 1]))
    >>> trials.targets.tolist(), trials.eer
    ([True, False], 0.0)
    """

    scores: Tensor
    first: Tensor
    second: Tensor

    @property
    def targets(self) -> Tensor:
        """Whether both utterances are of one speaker."""
        return self.first == self.second

    @property
    def eer(self) -> float:
        """The equal error rate, see :func:`prunus.tasks.speaker.eer`."""
        return self.rates().eer

    def min_dcf(self, p_target: float = 0.01) -> float:
        """The minimum detection cost, see :func:`prunus.tasks.speaker.min_dcf`."""
        return self.rates().min_dcf(p_target)

    def intervals(self, draws: int = 200, seed: int = 0) -> dict[str, Interval]:
        """EER and minDCF at 0.05 and 0.01 with 95 % bootstrap intervals over speakers, see :func:`bootstrap`."""
        order = self.scores.argsort(descending=True)
        ranked = self.scores[order], self.targets[order]
        found = partial(bootstrap, first=self.first[order], second=self.second[order], draws=draws, seed=seed)
        return {
            "eer": found(lambda weights: rates(*ranked, weights, ordered=True).eer),
            "min_dcf_05": found(lambda weights: rates(*ranked, weights, ordered=True).min_dcf(0.05)),
            "min_dcf_01": found(lambda weights: rates(*ranked, weights, ordered=True).min_dcf(0.01)),
        }

    def rates(self) -> Rates:
        """The operating points, see :func:`prunus.tasks.speaker.rates`."""
        return rates(self.scores, self.targets)


def all_pairs(embeddings: Tensor, speakers: Tensor, block: int = 1024) -> Trials:
    """Return a trial for every pair of different utterances, by cosine; ``block`` rows are scored at a time.

    Args:
        embeddings: (utterances, dim), of any length.
        speakers: (utterances,), the speaker of each.
        block: rows of one matrix product; bounds the memory beside the trials.

    Raises SettingError for fewer than two utterances or unequal counts.

    >>> trials = all_pairs(torch.tensor([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 0, 1]))
    >>> trials.scores.tolist(), trials.targets.tolist()
    ([1.0, 0.0, 0.0], [True, False, False])
    """
    require_count("block", block)
    if len(embeddings) != len(speakers) or len(speakers) < 2:
        raise SettingError(f"{len(embeddings)} embeddings of {len(speakers)} utterances, expected two or more of both")
    unit = F.normalize(embeddings.float(), dim=1)
    scores = [_above(unit[start : start + block] @ unit.T, start) for start in range(0, len(unit), block)]
    first, second = torch.triu_indices(len(unit), len(unit), 1)
    return Trials(torch.cat(scores), speakers[first], speakers[second])


def _above(rows: Tensor, start: int) -> Tensor:
    """The entries of ``rows`` right of the diagonal that begins at column ``start``."""
    return rows[torch.ones_like(rows, dtype=torch.bool).triu(start + 1)]
