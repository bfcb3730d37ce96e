"""Error rates of verification: equal error rate, minimum detection cost, and how far to trust them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from prunus.errors import ScoreError, require_fraction, require_number


@dataclass(frozen=True)
class Rates:
    """The operating points of a verifier, from accepting nothing to accepting everything.

    ``miss`` is the share of target trials that are rejected, ``alarm`` that of non-target trials that are accepted:
    float64 (points,), one point more than there are different scores, since equal scores are accepted together.

    >>> Rates(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])).eer
    0.5
    """

    miss: Tensor
    alarm: Tensor

    @property
    def eer(self) -> float:
        """Where miss and alarm are equal; between two points, on the line that joins them."""
        gap = self.alarm - self.miss  # rises from -1 to 1
        after = int((gap >= 0).nonzero()[0])
        share = gap[after - 1] / (gap[after - 1] - gap[after])
        return float(self.miss[after - 1] + share * (self.miss[after] - self.miss[after - 1]))

    def min_dcf(self, p_target: float = 0.01, c_miss: float = 1.0, c_alarm: float = 1.0) -> float:
        """The smallest detection cost, see :func:`min_dcf`."""
        require_fraction("p_target", p_target)
        for name, value in (("p_target", p_target), ("1 - p_target", 1 - p_target)):
            require_number(name, value, 0.0, open_low=True)
        for name, value in (("c_miss", c_miss), ("c_alarm", c_alarm)):
            require_number(name, value, 0.0, open_low=True)
        miss, alarm = c_miss * p_target, c_alarm * (1 - p_target)
        return float((miss * self.miss + alarm * self.alarm).min() / min(miss, alarm))


def rates(scores: Tensor, targets: Tensor, weights: Tensor | None = None, *, ordered: bool = False) -> Rates:
    """Return the operating points of all thresholds.

    Args:
        scores: (trials,), higher for the same speaker.
        targets: bool (trials,), True where it is the same speaker.
        weights: (trials,), how often each trial counts; None is once. A resample gives counts.
        ordered: the caller knows that the scores never rise, and saves the sorting.

    Raises ScoreError for NaN scores or when there is no target or no non-target trial.

    >>> rates(torch.tensor([0.9, 0.4, 0.4, 0.1]), torch.tensor([True, True, False, False]))
    Rates(miss=tensor([1.0000, 0.5000, 0.0000, 0.0000], ...), alarm=tensor([0.0000, 0.0000, 0.5000, 1.0000], ...))
    """
    if scores.isnan().any():
        raise ScoreError(f"{int(scores.isnan().sum())} of {len(scores)} scores are NaN")
    if not ordered:
        order = scores.argsort(descending=True)
        return rates(scores[order], targets[order], None if weights is None else weights[order], ordered=True)
    weight = torch.ones(len(scores), dtype=torch.float64) if weights is None else weights.double()
    last = torch.cat([scores.diff() != 0, torch.ones(1, dtype=torch.bool)])
    sums = [_summed(weight * kind, last) for kind in (targets, ~targets)]
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
    return rates(scores, targets, weights).eer


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
    Source: the plans of NIST's Speaker Recognition Evaluations.

    >>> min_dcf(torch.tensor([0.9, 0.4, 0.4, 0.1]), torch.tensor([True, True, False, False]))
    0.5
    """
    return rates(scores, targets, weights).min_dcf(p_target, c_miss, c_alarm)
