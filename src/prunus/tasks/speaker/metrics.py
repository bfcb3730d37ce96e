"""Error rates of verification: equal error rate, minimum detection cost, and how far to trust them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from prunus.errors import ScoreError, require_count, require_fraction, require_number


@dataclass(frozen=True)
class Rates:
    """The operating points of a verifier, from accepting nothing to accepting everything.

    ``miss`` is the share of target trials that are rejected, ``alarm`` that of non-target trials that are accepted:
    float64 (points,), one point more than there are different scores, since equal scores are accepted together.

    >>> Rates(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])).miss.tolist()
    [1.0, 0.0]
    """

    miss: Tensor
    alarm: Tensor


def rates(scores: Tensor, targets: Tensor, weights: Tensor | None = None) -> Rates:
    """Return the operating points of all thresholds.

    Args:
        scores: (trials,), higher for the same speaker.
        targets: bool (trials,), True where it is the same speaker.
        weights: (trials,), how often each trial counts; None is once. A resample gives counts.

    Raises ScoreError for NaN scores or when there is no target or no non-target trial.

    >>> rates(torch.tensor([0.9, 0.4, 0.4, 0.1]), torch.tensor([True, True, False, False]))
    Rates(miss=tensor([1.0000, 0.5000, 0.0000, 0.0000], ...), alarm=tensor([0.0000, 0.0000, 0.5000, 1.0000], ...))
    """
    if scores.isnan().any():
        raise ScoreError(f"{int(scores.isnan().sum())} of {len(scores)} scores are NaN")
    weight = torch.ones(len(scores), dtype=torch.float64) if weights is None else weights.double()
    order = scores.argsort(descending=True)
    last = torch.cat([scores[order].diff() != 0, torch.ones(1, dtype=torch.bool)])
    sums = [_summed(weight[order] * kind[order], last) for kind in (targets, ~targets)]
    if min(float(total[-1]) for total in sums) <= 0:
        raise ScoreError("error rates need trials of both kinds, target and non-target")
    accepted, alarms = (total / total[-1] for total in sums)
    return Rates(1 - accepted, alarms)


def _summed(weights: Tensor, last: Tensor) -> Tensor:
    """The running sum at the end of each run of equal scores, with a zero in front."""
    return torch.cat([weights.new_zeros(1), weights.cumsum(0)[last]])


def eer(scores: Tensor, targets: Tensor, weights: Tensor | None = None) -> float:
    """Return the equal error rate in [0, 1]: where as many targets are missed as impostors are accepted.

    Between two thresholds the operating points are joined by a line, and the crossing of that line is returned, so
    equal scores give what a coin would. Arguments and errors as :func:`rates`.

    >>> eer(torch.tensor([0.9, 0.4, 0.4, 0.1]), torch.tensor([True, True, False, False]))
    0.25
    """
    found = rates(scores, targets, weights)
    gap = found.alarm - found.miss  # rises from -1 to 1
    after = int((gap >= 0).nonzero()[0])
    share = float(-gap[after - 1] / (gap[after] - gap[after - 1]))
    return float(found.miss[after - 1] + share * (found.miss[after] - found.miss[after - 1]))


def min_dcf(
    scores: Tensor,
    targets: Tensor,
    p_target: float = 0.01,
    c_miss: float = 1.0,
    c_alarm: float = 1.0,
    weights: Tensor | None = None,
) -> float:
    r"""Return the smallest detection cost over all thresholds, divided by that of the better constant answer.

    .. math:: \min_\tau \frac{C_m p P_m(\tau) + C_a (1 - p) P_a(\tau)}{\min(C_m p, C_a (1 - p))}

    Args:
        scores, targets, weights: as in :func:`rates`.
        p_target: prior probability p of a target, in (0, 1).
        c_miss, c_alarm: costs of the two errors, above 0.

    Raises SettingError for settings out of range, and what :func:`rates` raises.
    Source: NIST Speaker Recognition Evaluation plans, since 2016 normalised so.

    >>> min_dcf(torch.tensor([0.9, 0.4, 0.4, 0.1]), torch.tensor([True, True, False, False]))
    0.5
    """
    require_fraction("p_target", p_target)
    require_number("p_target", p_target, 0.0, open_low=True)
    for name, value in (("c_miss", c_miss), ("c_alarm", c_alarm), ("1 - p_target", 1 - p_target)):
        require_number(name, value, 0.0, open_low=True)
    found = rates(scores, targets, weights)
    miss, alarm = c_miss * p_target, c_alarm * (1 - p_target)
    return float((miss * found.miss + alarm * found.alarm).min() / min(miss, alarm))


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
        statistic: from weights of the trials (None: each once) to a figure, such as ``partial(eer, scores, targets)``.
        first, second: the speaker numbers (trials,) on both sides of each trial.
        draws: resamples.
        level: share of the resamples inside the interval.
        seed: of the resamples; the same draws for every statistic, so differences can be compared draw by draw.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993; by speaker: Bengio and Mariéthoz, 2004.

    >>> one, two = torch.tensor([0, 1, 0, 0]), torch.tensor([0, 1, 1, 1])
    >>> scores, targets = torch.tensor([0.9, 0.8, 0.2, 0.1]), one == two
    >>> bootstrap(lambda weights: eer(scores, targets, weights), one, two, draws=10)
    Interval(value=0.0, low=0.0, high=0.0)
    """
    require_count("draws", draws)
    require_fraction("level", level)
    found = torch.tensor([statistic(w) for w in resamples(first, second, draws, seed)], dtype=torch.float64)
    low, high = found.quantile(torch.tensor([(1 - level) / 2, (1 + level) / 2], dtype=torch.float64)).tolist()
    return Interval(statistic(None), low, high)


def resamples(first: Tensor, second: Tensor, draws: int, seed: int = 0) -> list[Tensor]:
    """Return the weights of all trials under ``draws`` resamples of the speakers, see :func:`bootstrap`.

    A draw of one and the same speaker throughout has no non-target trial and is drawn again.

    >>> resamples(torch.tensor([0, 0, 1]), torch.tensor([0, 1, 1]), draws=1, seed=3)
    [tensor([1, 1, 1])]
    """
    require_count("seed", seed, 0)
    people, numbered = torch.cat([first, second]).unique(return_inverse=True)
    left, right = numbered.view(2, -1)
    generator = torch.Generator().manual_seed(seed)
    found: list[Tensor] = []
    while len(found) < draws:
        drawn = torch.randint(len(people), (len(people),), generator=generator)
        counts = drawn.bincount(minlength=len(people))
        if len(people) < 2 or int((counts > 0).sum()) > 1:
            found.append(torch.where(left == right, counts[left], counts[left] * counts[right]))
    return found
