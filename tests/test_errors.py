"""The tree at the top of errors.py is the tree of the classes, and each helper says no at its very bounds."""

from __future__ import annotations

import inspect
import math
import re

import pytest

from prunus import errors
from prunus.errors import (
    Faults,
    PrunusError,
    SettingError,
    did_you_mean,
    require_count,
    require_fraction,
    require_known,
    require_number,
)

DRAWN = dict(re.findall(r"^[├└─ ]*(\w+) \((\w+)\)", errors.__doc__ or "", re.MULTILINE))


def test_the_tree_is_as_drawn() -> None:
    kinds = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, (Exception, Warning))]
    bases = {kind.__name__: kind.__bases__[-1].__name__ for kind in kinds if kind is not PrunusError}
    assert bases == DRAWN
    assert all(issubclass(kind, (PrunusError, UserWarning)) for kind in kinds)


@pytest.mark.parametrize("value", [0.5, 1, 2.0])
def test_a_number_within_its_bounds_is_taken(value: float) -> None:
    require_number("delta", value, 0.5, 2.0)


@pytest.mark.parametrize("value", [math.nextafter(0.5, 0), math.nextafter(2.0, 3), math.nan, True, "1", None])
def test_a_number_outside_its_bounds_and_what_is_no_number_are_refused(value: object) -> None:
    with pytest.raises(SettingError, match=r"^delta is .*, expected a number of at least 0.5 and at most 2.0$"):
        require_number("delta", value, 0.5, 2.0)


def test_without_an_upper_bound_infinity_is_a_number() -> None:
    require_number("budget", math.inf, 0.0)
    with pytest.raises(SettingError, match="of at least 0.0$"):
        require_number("budget", -math.inf, 0.0)


def test_an_open_bound_is_not_taken_itself() -> None:
    require_number("lr", math.nextafter(0.0, 1), 0.0, open_low=True)
    with pytest.raises(SettingError, match="expected a number greater than 0.0"):
        require_number("lr", 0.0, 0.0, open_low=True)


@pytest.mark.parametrize(("value", "hint"), [(90, "(for 90 % write 0.9)"), (100, "(for 100 % write 1)")])
def test_a_percentage_is_shown_as_a_fraction(value: float, hint: str) -> None:
    with pytest.raises(SettingError, match=re.escape(hint)):
        require_fraction("target", value)


@pytest.mark.parametrize("value", [101, -0.1, "0.9", None])
def test_what_is_no_percentage_gets_no_such_hint(value: object) -> None:
    with pytest.raises(SettingError, match="expected a fraction between 0 and 1$"):
        require_fraction("target", value)


@pytest.mark.parametrize("value", [0, 1.0, True, "1", None])
def test_a_count_is_whole_and_large_enough(value: object) -> None:
    require_count("period", 1)
    with pytest.raises(SettingError, match="expected a whole number of at least 1"):
        require_count("period", value)


def test_the_nearest_name_is_offered_else_the_first_dozen() -> None:
    assert did_you_mean("cubik", ["cubic", "cosine"]) == "Did you mean 'cubic'?"
    assert did_you_mean("x", []) == "None is known."
    names = [f"name{number:02}" for number in range(13)]
    assert did_you_mean("?", names) == f"Known: {', '.join(names[:12])}, …."
    assert did_you_mean("?", names[:12]) == f"Known: {', '.join(names[:12])}."
    with pytest.raises(SettingError, match=r"unit is 'x', which is unknown\. Known: epoch, step\.$"):
        require_known("unit", "x", ["step", "epoch"])


def test_faults_are_raised_together_and_none_is_no_error() -> None:
    faults = Faults("the recipe cannot be used")
    faults.raise_as(SettingError)
    faults.add("one")
    with pytest.raises(SettingError, match="^the recipe cannot be used: one$"):
        faults.raise_as(SettingError)
    faults.add("two")
    with pytest.raises(SettingError, match="^the recipe cannot be used:\n- one\n- two$"):
        faults.raise_as(SettingError)
