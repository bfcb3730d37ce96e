"""When a policy of Distiller's fires: a half-open range of epochs with a frequency, or the epochs themselves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from prunus.errors import SettingError, require_count
from prunus.recipes.building import UNREADABLE, read
from prunus.recipes.faults import Report
from prunus.recipes.nodes import Node
from prunus.window import Window

RANGE = ("starting_epoch", "ending_epoch", "frequency")
TIMING = ("epochs", *RANGE)


def in_range(starting_epoch: int, ending_epoch: int, frequency: int) -> Window:
    """Return the window of range(starting_epoch, ending_epoch, frequency), checked as Distiller states it.

    >>> in_range(0, 38, 2)
    Window(start=0, end=38, frequency=2, unit='epoch')
    >>> in_range(3, 5, 4)
    Traceback (most recent call last):
        ...
    prunus.errors.SettingError: frequency is 4, expected at most 2, the length of epochs 3 to 5
    """
    require_count("starting_epoch", starting_epoch, 0)
    require_count("ending_epoch", ending_epoch, 0)
    require_count("frequency", frequency)
    length = ending_epoch - starting_epoch
    if length < 1:
        raise SettingError(f"ending_epoch is {ending_epoch}, expected more than starting_epoch {starting_epoch}")
    if frequency > length:
        where = f"the length of epochs {starting_epoch} to {ending_epoch}"
        raise SettingError(f"frequency is {frequency}, expected at most {length}, {where}")
    return Window(starting_epoch, ending_epoch, frequency)


def in_epochs(epochs: Sequence[int]) -> Window:
    """Return the window that fires in these epochs, in the order of the run.

    >>> str(in_epochs([7, 2, 3]))
    'epochs 2, 3, 7'
    """
    if not epochs:
        raise SettingError("epochs is empty, expected at least one epoch")
    if len(set(epochs)) < len(epochs):
        raise SettingError(f"epochs is {list(epochs)}, in which an epoch comes twice")
    return Window(at=tuple(sorted(epochs)))


def window_of(node: Node, name: str, beside_timing: Iterable[str], report: Report) -> Window | None:
    """Return the window of a policy's node, or None once the fault is reported.

    ``beside_timing`` are the keys that a policy may have besides.

    >>> from prunus.recipes.nodes import from_plain
    >>> report = Report()
    >>> policy = {"starting_epoch": 0, "ending_epoch": 38, "frequency": 2}
    >>> str(window_of(from_plain(policy, report), "policies[0]", ("pruner",), report))
    'epochs 0 to 38, every 2'
    """
    given = {key: pair for key, pair in node.value.items() if key in TIMING}
    beside = [key for key in RANGE if key in given]
    if "epochs" in given and beside:
        place = given[beside[0]].key.place
        report.add(place, f"{name} has epochs and {', '.join(beside)}, expected either the list or the range")
        return None
    if "epochs" not in given and len(beside) < len(RANGE):
        missing = ", ".join(key for key in RANGE if key not in given)
        if set(node.value) <= {*TIMING, *beside_timing}:  # else a misspelt key may be what is missing
            report.add(node.place, f"{name} lacks {missing} (or a list of epochs)", code="missing")
        return None
    kinds: dict[str, Any] = {"epochs": tuple[int, ...], **dict.fromkeys(RANGE, int)}
    values = {key: read(pair.value, kinds[key], f"{key} of {name}", report) for key, pair in given.items()}
    return None if UNREADABLE in values.values() else _window(node, values, name, report)


def _window(node: Node, values: dict[str, Any], name: str, report: Report) -> Window | None:
    try:
        return in_epochs(values["epochs"]) if "epochs" in values else in_range(**values)
    except SettingError as fault:
        about = next((key for key in values if str(fault).startswith(key)), None)
        place = node.place if about is None else node.value[about].value.place
        report.add(place, f"{name}: {fault}", code="bad-value")
        return None
