"""How far to trust an error rate: percentile intervals over resampled speakers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from prunus.errors import SettingError, require_count, require_fraction


@dataclass(frozen=True)
class Interval:
    """A figure with the interval that a bootstrap gives it.

    >>> print(Interval(0.05, 0.03, 0.08))
    0.050 (0.030–0.080)
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        """The value and its interval."""
        return f"{self.value:.3f} ({self.low:.3f}–{self.high:.3f})"


def bootstrap(
    statistic: Callable[[Tensor | None], float],
    first: Tensor,
    second: Tensor,
    *,
    draws: int = 200,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Return a statistic of the trials and its percentile interval over resampled speakers.

    Speakers are drawn with replacement, as many as there are: a trial of speakers a and b counts :math:`n_a n_b` times,
    one within a speaker :math:`n_a` times (two copies of one speaker are no trial). Drawing trials instead would take
    thousands of trials of a few people for thousands of people, and give intervals that are far too narrow.

    Args:
        statistic: from weights of the trials (None: each once) to a figure, such as
            ``lambda weights: eer(scores, targets, weights)``; a difference of two gives a paired comparison.
        first, second: the speaker numbers (trials,) on both sides of each trial.
        draws: resamples.
        level: share of the resamples inside the interval.
        seed: of the resamples.

    Raises SettingError for settings out of range and fewer than two speakers.
    Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13.

    >>> from prunus.tasks.speaker.metrics import eer
    >>> one, two = torch.tensor([0, 1, 0, 0]), torch.tensor([0, 1, 1, 1])
    >>> scores, targets = torch.tensor([0.9, 0.8, 0.2, 0.1]), one == two
    >>> bootstrap(lambda weights: eer(scores, targets, weights), one, two, draws=10)
    Interval(value=0.0, low=0.0, high=0.0)
    """
    require_fraction("level", level)
    drawn = [statistic(weights) for weights in resamples(first, second, draws, seed)]
    ends = torch.tensor([(1 - level) / 2, (1 + level) / 2], dtype=torch.float64)
    low, high = torch.tensor(drawn, dtype=torch.float64).quantile(ends).tolist()
    return Interval(statistic(None), low, high)


def resamples(first: Tensor, second: Tensor, draws: int, seed: int = 0) -> Iterator[Tensor]:
    """Yield the weights of all trials under ``draws`` resamples of the speakers, see :func:`bootstrap`.

    A draw of one and the same speaker throughout has no non-target trial and is drawn again.

    >>> list(resamples(torch.tensor([0, 0, 1]), torch.tensor([0, 1, 1]), draws=1, seed=3))
    [tensor([1, 1, 1])]
    """
    require_count("draws", draws)
    require_count("seed", seed, 0)
    people, numbered = torch.cat([first, second]).unique(return_inverse=True)
    if len(people) < 2:
        raise SettingError(f"a bootstrap over speakers needs two or more, found {len(people)}")
    left, right = numbered.view(2, -1)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(draws):
        counts = _drawn(len(people), generator)
        yield torch.where(left == right, counts[left], counts[left] * counts[right])


def _drawn(people: int, generator: torch.Generator) -> Tensor:
    """How often each was drawn, two different ones at least."""
    counts = torch.zeros(people, dtype=torch.long)
    while int((counts > 0).sum()) < 2:
        counts = torch.randint(people, (people,), generator=generator).bincount(minlength=people)
    return counts
