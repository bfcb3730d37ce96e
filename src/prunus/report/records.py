"""What a report is made of: plain figures of finished runs, no model and no tensor."""

from __future__ import annotations

from dataclasses import dataclass, field

from prunus.errors import SettingError, require_fraction
from prunus.measure import Count, Row


@dataclass(frozen=True)
class Point:
    """One reading during a run; what was not read is None.

    ``epoch`` is the time in epochs (fractions allowed), ``loss`` the training loss, ``sparsity`` and ``accuracy``
    fractions, ``lamda`` the strength of the regularizer.

    >>> Point(epoch=0.5, loss=1.2, sparsity=0.3).accuracy is None
    True
    """

    epoch: float
    loss: float | None = None
    sparsity: float | None = None
    lamda: float | None = None
    accuracy: float | None = None


@dataclass(frozen=True)
class Histogram:
    """Counts of non-zero weights in equal bins between ``low`` and ``high``, before and after training.

    Raises SettingError for bins that differ in number or an empty range.

    >>> Histogram(low=-1.0, high=1.0, before=(2, 2), after=(1, 0)).width
    1.0
    """

    low: float
    high: float
    before: tuple[int, ...]
    after: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.before) != len(self.after) or not self.before or not self.low < self.high:
            found = f"{len(self.before)} and {len(self.after)} bins from {self.low} to {self.high}"
            raise SettingError(f"a histogram needs equally many bins before and after and low < high, got {found}")

    @property
    def width(self) -> float:
        """Width of one bin."""
        return (self.high - self.low) / len(self.before)


@dataclass(frozen=True)
class RunRecord:
    """One finished run.

    Parameters: ``name`` for tables and legends, ``method`` the key of its colour (runs of one method share it),
    ``asked`` the sparsity asked for or None for a dense run, ``count`` the exact zeros achieved, ``accuracy`` a
    fraction, ``size`` bytes on disk, ``seconds`` of training, and for the charts ``points``, ``layers`` and
    ``histogram``.

    Raises SettingError for fractions outside [0, 1].

    >>> run = RunRecord("pruned", "magnitude", asked=0.9, count=Count(90, 100), accuracy=0.97, size=1000, seconds=2.0)
    >>> str(run.count)
    '90.00 % (10 of 100 left)'
    """

    name: str
    method: str
    asked: float | None
    count: Count
    accuracy: float
    size: int
    seconds: float
    points: tuple[Point, ...] = ()
    layers: tuple[Row, ...] = ()
    histogram: Histogram | None = None

    def __post_init__(self) -> None:
        require_fraction("accuracy", self.accuracy)
        if self.asked is not None:
            require_fraction("asked", self.asked)


@dataclass(frozen=True)
class Report:
    """Everything one page shows: the runs, where the data came from, how to get the same again.

    Parameters: ``task`` half a sentence such as "LeNet-5 on MNIST", ``source`` one sentence on the data, ``command``
    that was run, ``runs`` in table order (the first without an asked sparsity is what the others are compared with),
    ``versions`` of software by name, ``notes`` short remarks shown under the table, ``methods`` what each run does, by
    method in words.

    Raises SettingError when there is no run.

    >>> Report("LeNet-5 on MNIST", "5,000 digits.", "prunus demo", runs=())
    Traceback (most recent call last):
        ...
    prunus.errors.SettingError: a report needs at least one run
    """

    task: str
    source: str
    command: str
    runs: tuple[RunRecord, ...]
    versions: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    methods: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.runs:
            raise SettingError("a report needs at least one run")

    @property
    def dense(self) -> RunRecord | None:
        """The run the others are compared with, None when every run was asked to be sparse."""
        return next((run for run in self.runs if run.asked is None), None)

    @property
    def best(self) -> RunRecord:
        """The most accurate run at the highest sparsity that was asked for."""
        return max(self.runs, key=lambda run: (run.asked or 0.0, run.accuracy))
