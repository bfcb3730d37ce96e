"""One tree of errors: every fault of the user's derives from PrunusError and says what, where and what to try.

PrunusError
├── SettingError (ValueError)            a setting has a wrong value, type or name
├── SelectionError (ValueError)          a pattern matched nothing, a parameter was chosen twice
├── StructureError (ValueError)          a tensor cannot be split the way that was asked
├── ScoreError (ValueError)              scores that cannot be ranked (NaN)
├── SparsityDecreaseError (RuntimeError) masks would loosen though nothing was said to regrow
├── RunError (RuntimeError)              the training loop and the schedule do not fit together
├── GradientError (RuntimeError)         a gradient holds NaN or infinity and shall not be used
├── RecipeError (ValueError)             a recipe with faults, all of them listed
├── CheckpointError (RuntimeError)       a file that is truncated, unsafe or of another model
└── MissingExtraError (ImportError)      an optional package is not installed
NoEffect (UserWarning)                   something was asked for that will change nothing
LayerCollapse (UserWarning)              a layer has lost its last weight
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable
from typing import Any


class PrunusError(Exception):
    """Root of every error raised on purpose by prunus.

    >>> all(issubclass(kind, PrunusError) for kind in (SettingError, RecipeError, CheckpointError))
    True
    """


class SettingError(PrunusError, ValueError):
    """A setting has a wrong value, type or name.

    >>> issubclass(SettingError, ValueError)
    True
    """


class SelectionError(PrunusError, ValueError):
    """A selection of parameters is empty, ambiguous or names something unknown.

    >>> issubclass(SelectionError, ValueError)
    True
    """


class StructureError(PrunusError, ValueError):
    """A tensor cannot be split into the groups that were asked for.

    >>> issubclass(StructureError, ValueError)
    True
    """


class ScoreError(PrunusError, ValueError):
    """Scores that cannot be ranked.

    >>> issubclass(ScoreError, ValueError)
    True
    """


class SparsityDecreaseError(PrunusError, RuntimeError):
    """Pruned weights would come back although the action does not regrow.

    >>> issubclass(SparsityDecreaseError, RuntimeError)
    True
    """


class RunError(PrunusError, RuntimeError):
    """The training loop and the schedule do not fit together.

    >>> issubclass(RunError, RuntimeError)
    True
    """


class GradientError(PrunusError, RuntimeError):
    """A gradient holds NaN or infinity, and its parameter group says to raise.

    >>> issubclass(GradientError, RuntimeError)
    True
    """


class RecipeError(PrunusError, ValueError):
    """A recipe with one or more faults; the message lists them all, and ``faults`` holds them for programs.

    >>> issubclass(RecipeError, ValueError), RecipeError("a recipe is a mapping").faults
    (True, ())
    """

    faults: tuple[Any, ...] = ()
    """Every :class:`prunus.recipes.Fault`, warnings included, in the order of the file."""


class CheckpointError(PrunusError, RuntimeError):
    """A checkpoint is truncated, unsafe to load, or belongs to another model.

    >>> issubclass(CheckpointError, RuntimeError)
    True
    """


class MissingExtraError(PrunusError, ImportError):
    """An optional package is missing; the message names the extra that installs it.

    >>> issubclass(MissingExtraError, ImportError)
    True
    """


class NoEffect(UserWarning):
    """Something was asked for that changes nothing.

    >>> import warnings
    >>> warnings.simplefilter("error", NoEffect)  # make silence impossible in a test suite
    """


class LayerCollapse(UserWarning):
    """A layer has lost its last weight, so nothing passes through it any more.

    >>> issubclass(LayerCollapse, UserWarning)
    True
    """


class Faults:
    """Collect every fault before raising once, so that one run of a checker shows them all.

    >>> faults = Faults("two settings are wrong")
    >>> faults.add("target is 1.5, expected at most 1")
    >>> faults.add("period is 0, expected at least 1")
    >>> faults.raise_as(SettingError)
    Traceback (most recent call last):
        ...
    prunus.errors.SettingError: two settings are wrong:
    - target is 1.5, expected at most 1
    - period is 0, expected at least 1
    """

    def __init__(self, heading: str) -> None:
        self.heading = heading
        self.found: list[str] = []

    def add(self, fault: str) -> None:
        """Remember one fault."""
        self.found.append(fault)

    def raise_as(self, kind: type[PrunusError]) -> None:
        """Raise ``kind`` with every fault in its message; do nothing when there is none."""
        if len(self.found) == 1:
            raise kind(f"{self.heading}: {self.found[0]}")
        if self.found:
            raise kind("\n- ".join([f"{self.heading}:", *self.found]))


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a sentence that offers the nearest known name, or lists the known names when none is near.

    >>> did_you_mean("magnitud", ["magnitude", "random"])
    "Did you mean 'magnitude'?"
    >>> did_you_mean("zzz", ["magnitude", "random"])
    'Known: magnitude, random.'
    """
    names = sorted(set(known))
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    if near:
        return f"Did you mean {near[0]!r}?"
    shown = ", ".join(names[:12]) + (", …" if len(names) > 12 else "")
    return f"Known: {shown}." if names else "None is known."


def require_number(name: str, value: object, low: float, high: float = math.inf, *, open_low: bool = False) -> None:
    """Raise SettingError unless ``value`` is a real number (no bool, no NaN) with low ≤ value ≤ high.

    >>> require_number("delta", 0.0, 0.0, open_low=True)
    Traceback (most recent call last):
        ...
    prunus.errors.SettingError: delta is 0.0, expected a number greater than 0.0
    """
    number = isinstance(value, (int, float)) and not isinstance(value, bool) and not math.isnan(value)
    if number and (low < value if open_low else low <= value) and value <= high:  # type: ignore[operator]
        return
    floor = f"greater than {low}" if open_low else f"of at least {low}"
    raise SettingError(
        f"{name} is {value!r}, expected a number {floor}" + (f" and at most {high}" if high < math.inf else "")
    )


def require_fraction(name: str, value: object) -> None:
    """Raise SettingError unless ``value`` is a number in [0, 1].

    >>> require_fraction("target_sparsity", 90)
    Traceback (most recent call last):
        ...
    prunus.errors.SettingError: target_sparsity is 90, expected a fraction between 0 and 1 (for 90 % write 0.9)
    """
    try:
        require_number(name, value, 0.0, 1.0)
    except SettingError:
        percent = isinstance(value, (int, float)) and 1 < value <= 100
        hint = f" (for {value:g} % write {value / 100:g})" if percent else ""  # type: ignore[operator]
        raise SettingError(f"{name} is {value!r}, expected a fraction between 0 and 1{hint}") from None


def require_count(name: str, value: object, low: int = 1) -> None:
    """Raise SettingError unless ``value`` is a whole number (no bool) of at least ``low``.

    >>> require_count("period", 2.5)
    Traceback (most recent call last):
        ...
    prunus.errors.SettingError: period is 2.5, expected a whole number of at least 1
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < low:
        raise SettingError(f"{name} is {value!r}, expected a whole number of at least {low}")


def require_known(name: str, value: str, known: Iterable[str]) -> None:
    """Raise SettingError with the nearest known name unless ``value`` is one of ``known``.

    >>> require_known("unit", "epochs", ["epoch", "step"])
    Traceback (most recent call last):
        ...
    prunus.errors.SettingError: unit is 'epochs', which is unknown. Did you mean 'epoch'?
    """
    names = list(known)
    if value not in names:
        raise SettingError(f"{name} is {value!r}, which is unknown. {did_you_mean(str(value), names)}")
