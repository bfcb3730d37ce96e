"""Which curves stand below the lanes: sparsities, λ, learning rates; and what is decided while training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from prunus.recipes.timeline import Curve, Lane, Timeline
from prunus.recipes.timeline.records import Quantity
from prunus.recipes.timeline.words import level, number


@dataclass(frozen=True)
class Series:
    """A curve of a lane, and the lane's number in the picture.

    >>> Series(1, Lane("Prune", "", "prune", "", "epoch", (), (0.0, 1.0)), Curve("sparsity", ("fc",), ())).number
    1
    """

    number: int
    lane: Lane
    curve: Curve

    @property
    def values(self) -> set[float]:
        """The values that are drawn."""
        opening = {self.curve.opening[1]} if self.curve.opening else set()
        return opening | {self.curve.values[place] for place in self.curve.places()}


@dataclass(frozen=True)
class Panel:
    """A chart: what it shows, what it is called, how its figures are written, and how high it is at least.

    >>> Panel(("rate",), "learning rate", "", number).height
    96.0
    """

    quantities: tuple[Quantity, ...]
    name: str
    note: str
    write: Callable[[float], str]
    height: float = 96.0

    def series(self, timeline: Timeline) -> list[Series]:
        """Return the curves that belong here, of the policies that act."""
        acting = [(place, lane) for place, lane in enumerate(timeline.lanes, 1) if lane.acts]
        return [Series(n, lane, one) for n, lane in acting for one in lane.curves if one.quantity in self.quantities]

    def open(self, timeline: Timeline) -> list[tuple[int, Lane, str]]:
        """Return the policies that decide this while training: number, lane, and what decides."""
        acting = [(place, lane) for place, lane in enumerate(timeline.lanes, 1) if lane.acts]
        return [(n, lane, by) for n, lane in acting for what, by in lane.decided.items() if what in self.quantities]


def panels(timeline: Timeline) -> list[Panel]:
    """Return the panels that have something to show.

    >>> panels(Timeline((), 3))
    []
    """
    rate = "share of its start" if timeline.rate is None else ""
    every = [
        Panel(("sparsity", "sought"), "sparsity", "asked", level, 140.0),
        Panel(("lamda",), "λ", "strength", number),
        Panel(("rate",), "learning rate", rate, number),
    ]
    return [panel for panel in every if panel.series(timeline) or panel.open(timeline)]


def until(series: Series, timeline: Timeline) -> float:
    """Return the epoch to which the last value of a curve holds: until another policy asks the same targets anew.

    >>> curve = Curve("sparsity", ("fc",), (0.5,))
    >>> lane = Lane("Prune", "", "prune", "", "epoch", range(1), (0.0, 1.0), curves=(curve,))
    >>> until(Series(1, lane, curve), Timeline((lane,), 8))
    8.0
    """
    if not series.curve.lasts:
        return series.lane.span[1]
    last = timeline.at(series.lane, series.lane.events[-1])
    same = [one for one in timeline.lanes if one.acts and any(_alike(series.curve, other) for other in one.curves)]
    later = [at for one in same if (at := timeline.at(one, one.events[0])) > last]
    return min(later, default=float(timeline.epochs))


def _alike(one: Curve, other: Curve) -> bool:
    shared = set(one.targets) == set(other.targets) or bool({*one.targets} & {*other.targets})
    return one.quantity == other.quantity and shared
