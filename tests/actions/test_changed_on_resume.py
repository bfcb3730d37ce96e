"""A recipe that was changed between saving and resuming: what its state cannot be meant for is refused, by name."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from torch import nn

from prunus.actions import Adaptive, Prune
from prunus.actions._counts import Counts, require_rise, require_same
from prunus.criteria import Random
from prunus.errors import CheckpointError, PrunusError, SparsityDecreaseError
from prunus.policy import Policy
from prunus.scheduler import CompressionScheduler
from prunus.schedules import Cubic, Linear
from prunus.scopes import PerLayer
from prunus.select import Select
from prunus.structures import Row
from prunus.window import Window
from tests.e2e.comparing import differences

EPOCHS, SAVED = 10, 5


def made(action: Any, window: Window | None = None) -> CompressionScheduler:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(20, 20), nn.Linear(20, 20))
    return CompressionScheduler(model, [Policy(action, window or Window(0, 8))])


def go_on(scheduler: CompressionScheduler, until: int = EPOCHS) -> float:
    while scheduler.epoch < until:
        scheduler.epoch_end({"accuracy": 1.0})
    return scheduler.sparsity()


def saved(action: Any) -> dict[str, Any]:
    scheduler = made(action)
    assert 0.4 < go_on(scheduler, SAVED) < 0.6
    return scheduler.state_dict()


ONE = Prune(Linear(0.9), select=Select(("0.weight",)))
REFUSED: dict[str, tuple[Prune, Prune, type[PrunusError], str]] = {
    "lower": (Prune(Linear(0.9)), Prune(Linear(0.3)), SparsityDecreaseError, r"old 0\.5\d+, new 0\.3000$"),
    "structure": (
        Prune(Linear(0.9)),
        Prune(Linear(0.9), structure=Row()),
        CheckpointError,
        r"the structure was Element\(\), it is Row\(\)",
    ),
    "fewer": (Prune(Linear(0.9)), ONE, CheckpointError, "1.weight is no target"),
    "more": (ONE, Prune(Linear(0.9)), CheckpointError, "'1.weight' is a target now"),
}


def adaptive(action: Prune) -> Adaptive:
    return Adaptive(action, "accuracy", budget=0.0, step=0.15)


@pytest.mark.parametrize("wrapped", [lambda action: action, adaptive], ids=["alone", "adaptive"])
@pytest.mark.parametrize("name", REFUSED)
def test_what_the_state_is_not_meant_for_is_refused_and_nothing_is_taken(name: str, wrapped: Any) -> None:
    first, second, kind, said = REFUSED[name]
    state, scheduler = saved(wrapped(first)), made(wrapped(second))
    before = scheduler.state_dict()
    with pytest.raises(kind, match=said) as caught:
        scheduler.load_state_dict(state)
    assert name == "fewer" or str(caught.value).startswith(f"{scheduler.policies[0].policy.name}: ")
    assert list(differences(before, scheduler.state_dict())) == []


ACCEPTED: dict[str, tuple[Prune, Window]] = {
    "a higher end": (Prune(Linear(0.95)), Window(0, 8)),
    "a lower end that is not reached yet": (Prune(Linear(0.7)), Window(0, 8)),
    "another curve": (Prune(Cubic(0.9)), Window(0, 8)),
    "another criterion": (Prune(Linear(0.9), Random()), Window(0, 8)),
    "another scope": (Prune(Linear(0.9), scope=PerLayer()), Window(0, 8)),
    "a longer window": (Prune(Linear(0.9)), Window(0, 10)),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_what_may_change_acts_from_there_on(name: str) -> None:
    action, window = ACCEPTED[name]
    scheduler = made(action, window)
    scheduler.load_state_dict(saved(Prune(Linear(0.9))))
    assert go_on(scheduler) == pytest.approx(action.schedule.final, abs=2e-3)


def test_the_same_end_is_no_fall_though_more_is_pruned_than_was_asked() -> None:
    require_rise(Counts(achieved=6, total=10), before=0.5, final=0.5)


def test_targets_that_came_and_went_are_named_in_order() -> None:
    with pytest.raises(CheckpointError) as caught:
        require_same({"structure": "", "targets": [*"hbdfca"]}, {"structure": "", "targets": [*"zxvuyw"]})
    assert re.findall(r"'(\w)'", str(caught.value)) == [*"uvwxyzabcdfh"]
