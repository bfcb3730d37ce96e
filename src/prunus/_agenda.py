"""Which policies act at a time, found without asking each of them at every step."""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heapify, heappop, heappush

from prunus.policy import RunningPolicy


class Agenda:
    """The policies of one moment and unit, in a queue by when each acts next: what is idle costs nothing.

    Args:
        policies: policies with a span, in the order in which they act.

    >>> from torch import nn
    >>> from prunus.actions import Prune, Site
    >>> from prunus.masks import MaskStore
    >>> from prunus.policy import Policy
    >>> from prunus.schedules import Cubic
    >>> from prunus.window import Window
    >>> site = Site(nn.Linear(2, 2), None, MaskStore([]))
    >>> policy = RunningPolicy(Policy(Prune(Cubic(0.5)), Window(1, 6, 2)), site)
    >>> policy.resolve({"epoch": 8, "step": None})
    >>> agenda = Agenda([policy])
    >>> [time for time in range(8) if agenda.due(time)]
    [1, 3, 5]
    """

    def __init__(self, policies: Sequence[RunningPolicy]) -> None:
        self._policies = list(policies)
        self._time = 0
        self._due: list[RunningPolicy] = []
        self._queue: list[tuple[int, int]] = []
        self._start(0)

    def due(self, time: int) -> list[RunningPolicy]:
        """Return those that act at ``time``, in order; times may be skipped, repeated or, after a resume, go back."""
        if time < self._time:
            self._start(time)
        if time > self._time:
            self._time, self._due = time, []
        while self._queue and self._queue[0][0] <= time:
            self._take(time)
        return self._due

    def _start(self, time: int) -> None:
        self._time, self._due = time, []
        self._queue = [(at, place) for place, p in enumerate(self._policies) if (at := p.next_firing(time)) is not None]
        heapify(self._queue)

    def _take(self, time: int) -> None:
        """Move the head of the queue to its next firing, by way of the list when it acts now."""
        at, place = heappop(self._queue)
        following = self._policies[place].next_firing(time if at < time else time + 1)
        if at == time:
            self._due.append(self._policies[place])
        if following is not None:
            heappush(self._queue, (following, place))
