"""One walk serves many selections, and finds what a look at each parameter finds."""

from __future__ import annotations

import fnmatch
from unittest import mock

from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from prunus.actions import Prune
from prunus.scheduler import CompressionScheduler
from prunus.schedules import OneShot
from prunus.select import Select, Target, Walk, explain, targets, walk
from tests import models

MODEL = models.Tied()
WALK = Walk(MODEL)
PLACES = sorted({place for name in WALK.names for place in (name, name.rpartition(".")[0])})
patterns = st.one_of(st.sampled_from(PLACES), st.text("aeb.dhw*?[]!", max_size=8))


def fits(target: Target, pattern: str) -> bool:
    """The twin: the pattern against each name, and the name of each module."""
    names = (target.name, *target.aliases)
    return any(fnmatch.fnmatchcase(place, pattern) for name in names for place in (name, name.rpartition(".")[0]))


@given(st.lists(patterns, max_size=3))
def test_it_finds_what_a_pattern_fits(wanted: list[str]) -> None:
    expected = {at for at, one in enumerate(WALK.targets) if any(fits(one, pattern) for pattern in wanted)}
    assert WALK.matched(wanted) == expected


@given(st.sampled_from(PLACES), st.booleans())
def test_selections_from_a_walk_are_those_from_the_model(place: str, biases: bool) -> None:
    select = Select(include=(place, "*"), biases=biases)
    assert explain(WALK, select) == explain(MODEL, select)
    assert targets(WALK, select) == [choice.target for choice in explain(MODEL, select) if choice.chosen]


def test_a_scheduler_walks_once_for_all_its_policies() -> None:
    model = nn.Sequential(*[nn.Linear(2, 2) for _ in range(20)])
    policies = [Prune(OneShot(0.5), select=Select(include=(f"{at}.weight",))) for at in range(20)]
    walking = mock.patch.object(walk, "parameters", side_effect=walk.parameters)
    looking = mock.patch.object(Select, "reason_against", autospec=True, side_effect=Select.reason_against)
    with walking as walked, looking as looked:
        CompressionScheduler(model, policies)
    assert (walked.call_count, looked.call_count) == (1, 20)
