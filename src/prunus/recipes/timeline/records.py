"""What a timeline holds: one lane a policy, with every firing and all that it will ask for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Quantity = Literal["sparsity", "sought", "lamda", "rate"]
"""What a curve is of: a sparsity that is asked for, one that a controller seeks, a strength λ, a learning rate."""
Kind = Literal["prune", "regularize", "rewire", "steer", "rate", "other"]
"""What a policy does."""
BEFORE, AFTER, DURING = 0, 1, None
"""Where in its epoch or step a firing lies: at the begin, at the end, or all through."""


@dataclass(frozen=True)
class Curve:
    """What one policy asks for at each of its firings.

    Parameters: ``quantity``; ``targets``, the parameters that it is asked of (or words for them, without a model);
    ``values``, one for each of the lane's firings, worked out when asked for; ``together``, whether all of them share
    it, as under a global ranking; ``lasts``, whether the last value holds to the end of the run; ``opening``, what it
    sets before its first firing, if it does: the epoch and the value.

    >>> Curve("sparsity", ("fc.weight",), (0.5, 0.9)).values[-1]
    0.9
    """

    quantity: Quantity
    targets: tuple[str, ...]
    values: Sequence[float]
    together: bool = False
    lasts: bool = True
    opening: tuple[float, float] | None = None

    def places(self, most: int = 1000) -> Sequence[int]:
        """Return the places of all values, or of so many that lie evenly among them, the last one always.

        >>> list(Curve("rate", (), range(100)).places(4))
        [0, 33, 66, 99]
        """
        count = len(self.values)
        return range(count) if count <= most else [place * (count - 1) // (most - 1) for place in range(most)]


@dataclass(frozen=True)
class Lane:
    """One policy over the run.

    Parameters: ``title`` and ``words`` say what it does; ``kind``; ``window``, when, in words; ``unit``, "epoch" or
    "step"; ``events``, its firings inside the run in that unit; ``span``, the begin and end of the window, in epochs;
    ``offset``, BEFORE, AFTER or DURING; ``targets``; ``curves``; ``decided``, what is decided while training, and by
    what; ``warning``, what is wrong with the policy in a run of this length.

    >>> Lane("Prune", "0.9 at once", "prune", "epochs 0 to 3", "epoch", range(3), (0.0, 3.0)).acts
    True
    """

    title: str
    words: str
    kind: Kind
    window: str
    unit: str
    events: Sequence[int]
    span: tuple[float, float]
    offset: int | None = BEFORE
    targets: tuple[str, ...] = ()
    curves: tuple[Curve, ...] = ()
    decided: Mapping[Quantity, str] = field(default_factory=dict)
    warning: str = ""

    @property
    def acts(self) -> bool:
        """Whether it fires at all."""
        return bool(self.events)


@dataclass(frozen=True)
class Timeline:
    """Who acts when in a run: a lane for each policy, in their order.

    Parameters: ``lanes``; ``epochs`` and ``steps_per_epoch``, the length of the run (steps may be unknown where no
    policy counts them); ``rate``, the optimizer's learning rate, or None: then rates are shares of it.

    >>> Timeline((), epochs=3).idle
    []
    """

    lanes: tuple[Lane, ...]
    epochs: int
    steps_per_epoch: int | None = None
    rate: float | None = None

    @property
    def idle(self) -> list[Lane]:
        """The policies that never act."""
        return [lane for lane in self.lanes if not lane.acts]

    @property
    def targets(self) -> dict[str, list[tuple[Lane, Curve]]]:
        """For each target the sparsities that policies ask of it, in the order of the policies."""
        found: dict[str, list[tuple[Lane, Curve]]] = {}
        asked = [(lane, curve) for lane in self.lanes for curve in lane.curves if curve.quantity == "sparsity"]
        for lane, curve in asked:
            for target in curve.targets:
                found.setdefault(target, []).append((lane, curve))
        return found

    @property
    def start(self) -> float:
        """The learning rate at the start, 1 where rates are shares of it."""
        return 1.0 if self.rate is None else self.rate

    @property
    def rates(self) -> list[tuple[float, float]]:
        """The learning rate from each epoch on, in the order of the run; the first is the optimizer's own."""
        found = [(0.0, self.start)]
        setting = [(lane, curve) for lane in self.lanes for curve in lane.curves if curve.quantity == "rate"]
        for lane, curve in setting:
            found += [curve.opening] if curve.opening else []
            found += [(self.at(lane, time), value) for time, value in zip(lane.events, curve.values, strict=True)]
        return sorted(found, key=lambda change: change[0])

    def at(self, lane: Lane, time: int) -> float:
        """Return where in the run, in epochs, a firing of a lane takes hold."""
        return (time + (lane.offset or 0)) / self.unit(lane)

    def unit(self, lane: Lane) -> int:
        """Return how many of the lane's units an epoch has."""
        return 1 if lane.unit == "epoch" else self.steps_per_epoch or 1
