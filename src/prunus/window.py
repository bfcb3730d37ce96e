"""When a policy acts: a window says it in words, a span answers in numbers once the length of the run is known."""

from __future__ import annotations

import math
import re
import warnings
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise

from prunus.errors import NoEffect, RunError, SettingError, require_count, require_known

UNITS = ("epoch", "step")
LENGTH_UNKNOWN = "the length of the run is unknown: pass epochs (for windows in steps also steps_per_epoch)"
_FRACTION = re.compile(r"(\d+\.?\d*|\.\d+)dur")


@dataclass(frozen=True)
class Window:
    """The half-open stretch [start, end) of a run in which a policy fires, every ``frequency`` epochs or steps.

    Parameters: ``start`` (first firing, counted from 0) and ``end`` (exclusive; None means the end of the run) are
    whole numbers of ``unit``, or strings such as "0.2dur", a fraction of the run rounded down: "0.25dur" of 10 epochs
    is 2. ``frequency`` (at least 1) is the distance between two firings; ``unit`` is "epoch" or "step" (an optimizer
    step, never a micro-batch). ``at`` are the firings themselves, at least one, rising, in place of start, end and
    frequency.

    Errors: SettingError for a negative, empty or malformed window; RunError for a fraction of a run of unknown length.
    Source: Distiller's half-open epoch ranges; Composer's duration strings.

    >>> Window(2, 10, frequency=3).resolve(total=20)
    Span(start=2, end=10, frequency=3)
    >>> Window("0.2dur", "0.8dur").resolve(total=50)
    Span(start=10, end=40, frequency=1)
    >>> print(Window("0.5dur", frequency=100, unit="step"))
    steps 0.5dur to the end, every 100
    >>> Window(at=(0, 3, 7)).resolve(total=8).firings()
    (0, 3, 7)
    """

    start: int | str = 0
    end: int | str | None = None
    frequency: int = 1
    unit: str = field(default="epoch", metadata={"choices": UNITS})
    at: tuple[int, ...] | None = field(default=None, repr=False, metadata={"written": tuple[int, ...]})

    def __post_init__(self) -> None:
        """Refuse a window that no run could make sense of."""
        _require_place("start", self.start)
        if self.end is not None:
            _require_place("end", self.end)
        require_count("frequency", self.frequency)
        require_known("unit", self.unit, UNITS)
        if self.at is not None:
            object.__setattr__(self, "at", _require_rising(self.at))
        if self.at and (self.start, self.end, self.frequency) != (0, None, 1):
            raise SettingError(f"at is {list(self.at)}, which says all; leave out start, end and frequency")
        if isinstance(self.start, int) and isinstance(self.end, int):
            _require_order(self, self.start, self.end)
        if isinstance(self.start, str) and isinstance(self.end, str):
            _require_order(self, _fraction(self.start), _fraction(self.end))

    @property
    def needs_total(self) -> bool:
        """True when start or end is a fraction, so that resolving needs the length of the run."""
        return isinstance(self.start, str) or isinstance(self.end, str)

    def resolve(self, total: int | None) -> Span:
        """Return the span in whole units for a run of ``total`` units (None: not known).

        Warns NoEffect when the run ends before the first firing. An end past the run is kept as written, so that
        progress stays as written; :meth:`Span.reaches_final` tells.
        """
        if total is None and self.needs_total:
            raise RunError(f"the window '{self}' is a fraction of the run, and {LENGTH_UNKNOWN}")
        if total is not None:
            require_count("total", total, 0)
        if self.at:
            return self._listed(self.at, total)
        start = place_in_run(self.start, total)
        end = total if self.end is None else place_in_run(self.end, total)
        if total is not None and start >= total:
            warnings.warn(f"the window '{self}' never fires: the run has {total} {self.unit}s", NoEffect, stacklevel=2)
            return Span(start, max(start, end or 0), self.frequency)
        if end is not None:
            _require_order(self, start, end, total)
        return Span(start, end, self.frequency)

    def _listed(self, at: tuple[int, ...], total: int | None) -> Span:
        if total is not None and at[0] >= total:
            warnings.warn(f"the window '{self}' never fires: the run has {total} {self.unit}s", NoEffect, stacklevel=3)
        return Span(at[0], at[-1] + 1, at=at)

    def __str__(self) -> str:
        """Say the window in words, as messages and timelines show it."""
        if self.at:
            return f"{self.unit}s {', '.join(map(str, self.at))}"
        rhythm = "" if self.frequency == 1 else f", every {self.frequency}"
        return f"{self.unit}s {self.start} to {'the end' if self.end is None else self.end}{rhythm}"


@dataclass(frozen=True)
class Span:
    """A window in whole units: the firings are range(start, end, frequency); ``end`` is None in an open-ended run.

    Parameters: ``start`` of at least 0, ``end`` (exclusive) of at least ``start`` or None, ``frequency`` of at least 1;
    ``at``, the firings themselves, if they do not lie so regularly. Progress then goes by the place in that list.
    Errors: SettingError for other values; RunError when an open end meets a question that needs it.
    Source: AGP's span ((end - start - 1) // frequency) * frequency, as in Distiller.

    >>> span = Span(0, 38, frequency=2)
    >>> span.fires(36), span.fires(37), span.progress(36), span.progress(9)
    (True, False, 1.0, 0.25)
    """

    start: int
    end: int | None
    frequency: int = 1
    at: tuple[int, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        """Refuse a span that runs backwards."""
        require_count("start", self.start, 0)
        require_count("frequency", self.frequency)
        if self.end is not None:
            require_count("end", self.end, self.start)

    def fires(self, time: int) -> bool:
        """Say whether the policy acts at ``time`` (an epoch or a step, counted from 0)."""
        if self.at:
            return time in self.at
        inside = time >= self.start and (self.end is None or time < self.end)
        return inside and (time - self.start) % self.frequency == 0

    def next_firing(self, time: int, *, endless: bool = False) -> int | None:
        """Return the first firing from ``time`` on, or None after the last one; ``endless`` goes on past the end."""
        if self.at:
            return next((at for at in self.at if at >= time), None)
        at = self.start + max(0, -((self.start - time) // self.frequency)) * self.frequency
        return at if endless or self.end is None or at < self.end else None

    def firings(self) -> Sequence[int]:
        """Return every firing; RunError when the end is open."""
        return self.at or range(self.start, self._closed_end(), self.frequency)

    def progress(self, time: int) -> float:
        """Return how far the span has come, 0 until its start and exactly 1 from its LAST FIRING on (one firing: 1)."""
        if self.at:
            length, time = len(self.at) - 1, bisect_right(self.at, time) - 1 + self.start
        else:
            length = self._last() - self.start
        if time < self.start:
            return 0.0
        return 1.0 if length <= 0 else min(1.0, (time - self.start) / length)

    def reaches_final(self, total: int) -> bool:
        """Say whether the last firing, the one with progress 1, lies inside a run of ``total`` units."""
        return bool(self.firings()) and self._last() < total

    def _last(self) -> int:
        if self.at:
            return self.at[-1]
        return self.start + (self._closed_end() - self.start - 1) // self.frequency * self.frequency

    def _closed_end(self) -> int:
        if self.end is None:
            raise RunError(f"a window without an end has no last firing to run towards, and {LENGTH_UNKNOWN}")
        return self.end


def place_in_run(place: int | str, total: int | None) -> int:
    """Turn a place of a window into whole units: numbers stay, "0.2dur" becomes the floor of 0.2 x ``total``, exactly.

    >>> place_in_run("0.29dur", 100), place_in_run(7, None)
    (29, 7)
    """
    if isinstance(place, int):
        return place
    if total is None:
        raise RunError(f"{place!r} is a fraction of the run, and {LENGTH_UNKNOWN}")
    return math.floor(_fraction(place) * total)


def _fraction(place: str) -> Fraction:
    """Read "0.2dur" as the exact 1/5; a float would put 0.29 of 100 at 28."""
    return Fraction(place.removesuffix("dur"))


def _require_rising(at: object) -> tuple[int, ...]:
    if isinstance(at, str) or not isinstance(at, Sequence):
        raise SettingError(f"at is {at!r}, expected a list of whole numbers that rise")
    if not at:
        raise SettingError("at is empty, so it would never fire; list one time at least, or leave at out")
    for time in at:
        require_count("at", time, 0)
    if any(later <= time for time, later in pairwise(at)):
        raise SettingError(f"at is {list(at)}, expected whole numbers that rise")
    return tuple(at)


def _require_place(name: str, place: object) -> None:
    if not isinstance(place, str):
        return require_count(name, place, 0)
    if not _FRACTION.fullmatch(place) or _fraction(place) > 1:
        raise SettingError(f'{name} is {place!r}, expected a whole number or a fraction (0 to 1) such as "0.2dur"')


def _require_order(window: Window, start: int | Fraction, end: int | Fraction, total: int | None = None) -> None:
    if start < end:
        return
    run = "" if total is None else f" (start {start} and end {end} in a run of {total} {window.unit}s)"
    raise SettingError(
        f"start must come before end, got start={window.start!r} and end={window.end!r}{run}; "
        "for a single firing write end=start+1 or use OneShot"
    )
