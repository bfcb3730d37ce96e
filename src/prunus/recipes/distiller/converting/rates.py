"""Learning rates that are a share of the base rate in every epoch: ``set_lr`` with those shares as ``levels``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import isclose

from prunus.actions import SetLR
from prunus.policy import Policy
from prunus.recipes.distiller.converting.parts import Refusal, Subject
from prunus.recipes.distiller.rates import ByEpoch
from prunus.recipes.nodes import NODES
from prunus.schedules import Levels
from prunus.window import Window

BASES = (0.1, 0.05, 0.003, 1.0, 0.3)
"""Base rates with which it is tried out whether rates are shares of them, to the last bit."""
LONGEST = 100_000
"""Most epochs of a window, whose rates are worked out one by one."""
MOST = NODES - 1_000
"""Most numbers, times and shares, that one policy may take of what a recipe has room for."""
NO_SHARE = Refusal(
    "its rates are no shares of the base rate to the last bit, or above it, and set_lr knows shares only",
    "Use the scheduler of torch.optim.lr_scheduler.",
)
MOMENTUM = Refusal("it moves the momentum too, and set_lr does not", NO_SHARE.suggestion)
TOO_LONG = Refusal(
    f"its window has more than {LONGEST:,} epochs, and the share of each is worked out", "End it where the run ends."
)
TOO_MANY = Refusal(f"its rate changes so often that a recipe, of {NODES:,} values, has no room", TOO_LONG.suggestion)


def shares(component: ByEpoch, subject: Subject) -> Iterator[Policy | Refusal]:
    """Yield the policy that sets each new share in the epoch from which it holds.

    >>> from prunus.recipes.distiller.document import Line
    >>> from prunus.recipes.distiller.lr_schedulers import StepLR
    >>> step = StepLR(step_size=30)
    >>> [policy] = shares(step, Subject(Line(step, Window(0, 90))))
    >>> policy.window.at, len(policy.action.schedule.levels)
    ((30, 60, 90), 3)
    """
    span = subject.line.window.resolve(None)
    firings, offset = span.firings(), component.offset(span)
    if len(firings) > LONGEST:
        yield TOO_LONG
        return
    epochs = [offset, *(firing + 1 for firing in firings if firing + 1 > offset)]
    counted = [epoch - offset for epoch in epochs]
    if any(component.momentum(epoch) is not None for epoch in counted):
        yield MOMENTUM
    elif not _are_shares(component, counted):
        yield NO_SHARE
    else:
        first, *later = (component.rate(1.0, epoch) for epoch in counted)
        yield from _policy(epochs, [1.0 if isclose(first, 1.0) else first, *later])  # as the scheduler itself begins


def _are_shares(component: ByEpoch, epochs: Sequence[int]) -> bool:
    factors = {epoch: component.rate(1.0, epoch) for epoch in epochs}
    exact = all(component.rate(base, epoch) == base * factor for base in BASES for epoch, factor in factors.items())
    return exact and all(0.0 <= factor <= 1.0 for factor in factors.values())


def _policy(epochs: Sequence[int], factors: Sequence[float]) -> Iterator[Policy | Refusal]:
    """Only what changes is set; the first share is 1 unless the schedule begins below the base rate."""
    pairs = list(zip(epochs, factors, strict=True))
    changes = [pair for before, pair in pairwise([(0, 1.0), *pairs]) if pair[1] != before[1]]
    if changes:
        times, levels = zip(*changes, strict=True)
        window = _window(times)
        fits = len(levels) + len(window.at or ()) <= MOST
        yield Policy(SetLR(Levels(levels)), window) if fits else TOO_MANY


def _window(times: Sequence[int]) -> Window:
    """A range where they lie side by side, which is shorter to read."""
    dense = len(times) > 1 and times[-1] - times[0] == len(times) - 1
    return Window(times[0], times[-1] + 1) if dense else Window(at=tuple(times))
