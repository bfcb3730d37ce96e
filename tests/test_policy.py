"""A policy is an action and a window, checked when it is made."""

import pytest
import torch

from prunus.actions import Prune, SetLR
from prunus.errors import SettingError
from prunus.policy import Policy
from prunus.schedules import Cubic, Linear, OneShot
from prunus.window import Window


def test_swapped_or_bare_arguments_are_refused_at_once():
    with pytest.raises(SettingError, match="expected a member of prunus.actions"):
        Policy(Window(0, 3), Prune(Cubic(0.5)))
    with pytest.raises(SettingError, match="expected a member of prunus.actions"):
        Policy(Cubic(0.5))
    with pytest.raises(SettingError, match="expected Window"):
        Policy(Prune(Cubic(0.5)), (0, 5))


def test_without_a_window_an_action_has_the_run_in_its_own_unit():
    assert Policy(Prune(Cubic(0.5))).when == Window(unit="epoch")
    assert Policy(SetLR(Linear(0.5))).when == Window(unit="step")


def test_policies_are_values():
    one, other = (Policy(Prune(Cubic(0.5)), Window(0, 3)) for _ in range(2))
    assert one == other and hash(one) == hash(other)


def test_a_falling_schedule_cannot_prune():
    with pytest.raises(SettingError, match="masks only tighten"):
        Prune(Linear(initial=0.9, final=0.5))
    with pytest.raises(SettingError, match="seed"):
        Prune(OneShot(0.5), seed=-1)


def test_a_learning_rate_needs_an_optimizer():
    from prunus.scheduler import CompressionScheduler

    with pytest.raises(SettingError, match="pass optimizer="):
        CompressionScheduler(torch.nn.Linear(2, 2), [SetLR(Linear(0.5))])
