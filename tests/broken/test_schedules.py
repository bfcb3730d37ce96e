"""Schedules that are wrong in one way each, and the law that catches each of them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest

from prunus.schedules import Cosine, Cubic, Linear, OneShot, Schedule
from tests.laws import schedules as laws


class NoUpperClamp(Linear):
    def __call__(self, progress):
        return self.initial + (self.final - self.initial) * max(0.0, progress)


class NoLowerClamp(Linear):
    def __call__(self, progress):
        return self.initial + (self.final - self.initial) * min(1.0, progress)


class NoInitialOffset(Cubic):
    def __call__(self, progress):
        return self.final * (1 - (1 - min(1.0, max(0.0, progress))) ** 3)


class EndOnlyToRounding(Linear):
    def __call__(self, progress):
        p = min(1.0, max(0.0, progress))
        return float(self.initial * (1 - p) + (self.final + 1e-16) * p * (1 + 1e-15))


class Wobbles(Linear):
    def _level(self, progress):
        return self.initial if 0.4 < progress < 0.6 else self.final


class Overshoots(OneShot):
    def _level(self, progress):
        return 1.1


class AddsWhereItSubtracts(Cosine):
    """Clamped to its ends, it keeps every law about ends and order."""

    def _level(self, progress):
        low, high = sorted((self.initial, self.final))
        wave = (1 + math.cos(math.pi * progress)) / 2
        return min(high, max(low, self.final + (self.initial + self.final) * wave))


class SaysItRises(Linear):
    @property
    def monotone(self):
        return True


class SaysItFalls(Linear):
    @property
    def monotone(self):
        return False


CALLS: list[float] = []


class Remembers(Linear):
    def _level(self, progress):
        CALLS.append(progress)
        return max(CALLS)


class TakesAnything(Linear):
    def __call__(self, progress):
        return 0.5


@dataclass
class Thaws(Schedule):
    final: float = 0.5
    initial: float = 0.5

    def _level(self, progress):
        return 0.5


PLANTED = [
    (NoUpperClamp(0.8), laws.law_holds_before_and_long_after),
    (NoLowerClamp(0.8), laws.law_holds_before_and_long_after),
    (NoInitialOffset(0.8, 0.2), laws.law_meets_both_ends_exactly),
    (EndOnlyToRounding(0.8, 0.1), laws.law_meets_both_ends_exactly),
    (AddsWhereItSubtracts(0.2, 0.7), laws.law_follows_its_twin),
    (Wobbles(0.8), laws.law_never_falls_when_declared),
    (SaysItRises(0.2, 0.8), laws.law_never_falls_when_declared),
    (SaysItFalls(0.8, 0.2), laws.law_never_falls_when_declared),
    (Overshoots(0.8), laws.law_stays_a_fraction),
    (Remembers(0.8), laws.law_asking_out_of_order_changes_nothing),
]


@pytest.mark.parametrize(("schedule", "law"), PLANTED, ids=[type(schedule).__name__ for schedule, _ in PLANTED])
def test_the_law_catches_it(schedule, law):
    with pytest.raises(AssertionError):
        law(schedule)


@pytest.mark.parametrize(
    ("schedule", "law"),
    [(TakesAnything(0.8), laws.law_refuses_what_is_no_progress), (Thaws(), laws.law_is_a_plain_value)],
    ids=["TakesAnything", "Thaws"],
)
def test_a_missing_refusal_is_caught(schedule, law):
    with pytest.raises((pytest.fail.Exception, TypeError)):
        law(schedule)
