"""Laws that every schedule keeps; each function takes one member and asserts."""

from __future__ import annotations

import dataclasses
import itertools
import math
import pickle

import pytest

from prunus.errors import SettingError
from prunus.schedules import SCHEDULES
from tests.twins import schedules as twins

GRID = [i / 64 for i in range(65)]


def law_meets_both_ends_exactly(schedule):
    assert schedule(0) == schedule.initial and schedule(1) == schedule.final
    assert schedule(0.0) == schedule.initial and schedule(1.0) == schedule.final


def law_holds_before_and_long_after(schedule):
    for far in (0.5, 3, 1e9, math.inf):
        assert schedule(-far) == schedule.initial and schedule(1 + far) == schedule.final


def law_stays_a_fraction(schedule):
    assert all(isinstance(schedule(p), float) and 0.0 <= schedule(p) <= 1.0 for p in [*GRID, 1e-300, 1 - 2**-53])


def law_follows_its_twin(schedule):
    settings = {field.name: getattr(schedule, field.name) for field in dataclasses.fields(schedule)}
    (twin,) = (getattr(twins, name) for name, kind in SCHEDULES.items() if isinstance(schedule, kind))
    for p in GRID[1:-1]:
        assert schedule(p) == pytest.approx(twin(p, **settings), rel=1e-9, abs=1e-9)


def law_never_falls_when_declared(schedule):
    path = [schedule(p) for p in [-1, *GRID, 2]]
    if schedule.monotone:
        assert all(later >= earlier - 1e-12 for earlier, later in itertools.pairwise(path))
        assert all(schedule.initial <= level <= schedule.final for level in path)
    else:
        assert min(path) < schedule.initial or path != sorted(path)


def law_asking_out_of_order_changes_nothing(schedule):
    forward = [schedule(p) for p in GRID]
    assert [schedule(p) for p in reversed(GRID)][::-1] == forward == [schedule(p) for p in GRID]


def law_refuses_what_is_no_progress(schedule):
    for wrong in (math.nan, None, "0.5", True):
        with pytest.raises(SettingError, match="progress is"):
            schedule(wrong)


def law_is_a_plain_value(schedule):
    again = type(schedule)(**{field.name: getattr(schedule, field.name) for field in dataclasses.fields(schedule)})
    assert again == schedule == pickle.loads(pickle.dumps(schedule)) and hash(again) == hash(schedule)
    with pytest.raises(dataclasses.FrozenInstanceError):
        schedule.final = 0.5


LAWS = [
    law_asking_out_of_order_changes_nothing,
    law_follows_its_twin,
    law_holds_before_and_long_after,
    law_is_a_plain_value,
    law_meets_both_ends_exactly,
    law_never_falls_when_declared,
    law_refuses_what_is_no_progress,
    law_stays_a_fraction,
]
