"""What an action will ask for, known before training: one answer a kind of action."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import singledispatch
from typing import NamedTuple, overload

from torch import nn

from prunus.actions import Action
from prunus.recipes.timeline.records import Kind, Quantity
from prunus.window import Span


class Firing(NamedTuple):
    """A firing: when, in the window's unit, how much of the window is over, and in which epoch.

    >>> Firing(30, 0.5, 3).progress
    0.5
    """

    time: int
    progress: float
    epoch: int


@dataclass(frozen=True)
class Asked:
    """A curve before its firings are known: the value as a function of the firing.

    The rest is as in :class:`prunus.recipes.timeline.Curve`.

    >>> Asked("sparsity", ("fc.weight",), lambda firing: firing.progress).value(Firing(3, 0.5, 3))
    0.5
    """

    quantity: Quantity
    targets: tuple[str, ...]
    value: Callable[[Firing], float]
    together: bool = False
    lasts: bool = True


@dataclass(frozen=True)
class Values(Sequence[float]):
    """The values of a curve, one for each firing: a run has millions of steps, and a picture a thousand columns.

    >>> Values(lambda firing: firing.progress, Span(0, 5), range(5), each=1)[2:]
    (0.5, 0.75, 1.0)
    """

    value: Callable[[Firing], float]
    span: Span
    events: Sequence[int]
    each: int

    def __len__(self) -> int:
        return len(self.events)

    @overload
    def __getitem__(self, place: int) -> float: ...

    @overload
    def __getitem__(self, place: slice) -> tuple[float, ...]: ...

    def __getitem__(self, place: int | slice) -> float | tuple[float, ...]:
        """Work out one value, or several."""
        if isinstance(place, slice):
            return tuple(map(self._of, self.events[place]))
        return self._of(self.events[place])

    def _of(self, time: int) -> float:
        return float(self.value(Firing(time, self.span.progress(time), time // self.each)))


@dataclass(frozen=True)
class Forecast:
    """What is known of an action before it acts; an action of which nothing is known shows its window.

    Parameters: ``kind`` and ``words`` say what it does; ``targets``; ``asked``, what it asks for; ``decided``, what is
    decided while training, and by what.

    >>> Forecast().kind
    'other'
    """

    kind: Kind = "other"
    words: str = ""
    targets: tuple[str, ...] = ()
    asked: tuple[Asked, ...] = ()
    decided: Mapping[Quantity, str] = field(default_factory=dict)


@singledispatch
def forecast(action: Action, model: nn.Module | None = None) -> Forecast:
    """Return what is known of an action; with a model, by the names of its parameters.

    An action of your own registers what is known of it: ``@forecast.register``.

    >>> import prunus.recipes.timeline
    >>> from prunus.actions import Prune
    >>> from prunus.schedules import Cubic
    >>> forecast(Prune(Cubic(0.9))).words
    '0 → 90 %, cubic, global'
    """
    return Forecast()
