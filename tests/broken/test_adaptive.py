"""Paces that are wrong in one way each; the plain twin tells them all from the right one."""

from __future__ import annotations

import math
from typing import Any

import pytest

from prunus.actions import adaptive
from prunus.actions._pace import Pace
from tests.actions import test_adaptive as tests


class CutsAtEveryViolation(Pace):
    def _judge(self, within: bool, back_off: float, patience: int) -> None:
        super()._judge(within, back_off, patience)
        if not within and self.waited > patience + 1:
            self.step *= back_off


class Regrows(Pace):
    def _judge(self, within: bool, back_off: float, patience: int) -> None:
        super()._judge(within, back_off, patience)
        if not within:
            self.progress = max(0.0, self.progress - self.step)


class JudgesTwice(Pace):
    def move(self, *settings: Any, **more: Any) -> None:
        value = self.value
        super().move(*settings, **more)
        self.value = value


class ForgetsTheBest(Pace):
    def take(self, value: float, mode: Any = "max") -> None:
        self.best = None
        super().take(value, mode)


class TakesNaNForGood(Pace):
    def take(self, value: float, mode: Any = "max") -> None:
        super().take(value, mode)
        if math.isnan(value):
            self.value = self.best


class NeverRecovers(Pace):
    def _judge(self, within: bool, back_off: float, patience: int) -> None:
        super()._judge(within and not self.held, back_off, patience)


class MovesAtTheFirstFiring(Pace):
    def move(self, *settings: Any, **more: Any) -> None:
        self.fired += 1
        super().move(*settings, **more)


class ImpatientByOne(Pace):
    def _judge(self, within: bool, back_off: float, patience: int) -> None:
        super()._judge(within, back_off, patience - 1)


PLANTED = [
    CutsAtEveryViolation, Regrows, JudgesTwice, ForgetsTheBest, TakesNaNForGood, NeverRecovers, ImpatientByOne,
]  # fmt: skip


@pytest.mark.parametrize("wrong", PLANTED)
def test_the_twin_tells(wrong: type[Pace]) -> None:
    with pytest.raises(AssertionError):
        tests.law_the_pace_is_that_of_the_twin(wrong)


def test_a_reference_from_before_the_window_is_no_reason_to_move_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adaptive, "Pace", MovesAtTheFirstFiring)
    with pytest.raises(AssertionError):
        tests.test_epochs_before_the_window_make_the_reference_and_only_new_metrics_count()
