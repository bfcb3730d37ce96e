"""Which sparsities steering can reach at all: what masks hold at zero stays, and so does what never moves."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

from prunus._pieces import count, nonzeros
from prunus.errors import NoEffect
from prunus.masks import MaskStore
from prunus.optim import BregmanOptimizer


@dataclass(frozen=True)
class Reach:
    """How many of ``total`` steered weights are ``masked`` at zero, and how many are ``frozen`` at another value.

    >>> Reach(masked=10, frozen=30, total=100).why_not(0.8)
    '30 of 100 steered weights never had a gradient and keep their value, so it can be 0.7 at most'
    >>> Reach(masked=10, frozen=30, total=100).why_not(0.5) is None
    True
    """

    masked: int
    frozen: int
    total: int

    def why_not(self, target: float) -> str | None:
        """Say why the target lies out of reach, or return None where it does not."""
        if target * self.total > self.total - self.frozen:
            most = 1.0 - self.frozen / self.total
            what = f"{self.frozen} of {self.total} steered weights never had a gradient and keep their value"
            return f"{what}, so it can be {most:.4g} at most"
        if target * self.total < self.masked:
            what = f"masks hold {self.masked} of {self.total} steered weights at zero"
            return f"{what}, so it is {self.masked / self.total:.4g} at least"
        return None


def warn_of_gaps(optimizer: BregmanOptimizer, target: float, missing: int) -> bool:
    """Warn NoEffect about steered weights that take no part and about places that nobody may take; say if there are.

    >>> import torch
    >>> from prunus.optim import AdaBreg
    >>> warn_of_gaps(AdaBreg([torch.ones(5, requires_grad=True)]), 0.5, missing=0)
    False
    """
    idle = sum(not member.state and member.parameter.numel() > 0 for member in optimizer.regularized())
    faults = [f"{idle} steered parameters never had a gradient and stay as they are"] if idle else []
    faults += [f"{missing} places stay empty, because masks hold the rest at zero"] if missing else []
    if faults:
        text = f"the sparsity budget {target} is out of reach: {'; '.join(faults)}"
        warnings.warn(text, NoEffect, stacklevel=3)
    return bool(faults)


def reach(optimizer: BregmanOptimizer, masks: MaskStore | None) -> Reach:
    """Count what steering cannot move.

    >>> import torch
    >>> from prunus.optim import AdaBreg
    >>> from prunus.regularizers import RegL1
    >>> reach(AdaBreg([torch.ones(5, requires_grad=True)], reg=RegL1(0.1)), None)
    Reach(masked=0, frozen=5, total=5)
    """
    members = list(optimizer.regularized())
    held = [None if masks is None else masks.of(member.parameter) for member in members]
    return Reach(
        masked=sum(mask.numel() - count(mask) for mask in held if mask is not None),
        frozen=sum(nonzeros(member.parameter) for member in members if not member.state),
        total=sum(member.parameter.numel() for member in members),
    )
