"""Round trips: what is dumped loads as equal policies."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunus import recipes
from prunus.actions import Action, Prune, Regularize, SetLR, Steer
from prunus.criteria import Magnitude, Random
from prunus.errors import SettingError
from prunus.policy import Policy
from prunus.regularizers import GroupLasso, RegL1, RegNone
from prunus.schedules import ConstantRate, Cubic, Levels, Linear, OneShot, Schedule
from prunus.scopes import Global, PerLayer
from prunus.select import Select
from prunus.steering import LambdaScheduler
from prunus.structures import Block, Element, Filter
from prunus.window import Window
from tests.recipes.random_policies import ANY_POLICIES, parts_of
from tests.recipes.test_load import POLICIES

FRACTIONS = st.floats(0, 1)
POSITIVE = st.floats(0, exclude_min=True)
TEXTS = st.lists(st.text(st.characters(codec="utf-8"), max_size=8), max_size=3).map(tuple)
SMALL = st.integers(0, 1000)
STRUCTURES = st.sampled_from([Element(), Filter(), Block(2, 8)])
SCHEDULES = st.one_of(
    st.builds(OneShot, FRACTIONS),
    st.builds(Levels, st.lists(FRACTIONS, min_size=1, max_size=4).map(sorted).map(tuple)),
    st.builds(Cubic, st.just(1.0), FRACTIONS),
    st.builds(ConstantRate, st.just(1), FRACTIONS),
)
SELECTS = st.builds(Select, TEXTS, TEXTS, TEXTS, SMALL, st.booleans())
CRITERIA = st.one_of(st.just(Random()), st.builds(Magnitude, POSITIVE, st.booleans()))
PRUNES = st.builds(
    Prune, SCHEDULES, CRITERIA, STRUCTURES, st.sampled_from([Global(), PerLayer()]), SELECTS, st.integers(0, 2**63 - 1)
)
REGULARIZERS = st.one_of(
    st.just(RegNone()), st.builds(GroupLasso, st.floats(0, 1e300), STRUCTURES), st.builds(RegL1, st.floats(0, 1e300))
)
ACTIONS = st.one_of(PRUNES, st.builds(Regularize, REGULARIZERS, SELECTS), st.builds(SetLR, SCHEDULES))
PLACES = st.one_of(st.integers(0, 50), st.sampled_from(["0dur", "0.25dur", ".5dur"]))
ENDS = st.one_of(st.none(), st.integers(51, 100), st.sampled_from(["0.75dur", "1.0dur"]))
WINDOWS = st.builds(Window, PLACES, ENDS, st.integers(1, 9), st.sampled_from(["epoch", "step"]))


LISTS_OF_POLICIES = st.lists(st.builds(Policy, ACTIONS, st.none() | WINDOWS), min_size=1, max_size=3)


@given(LISTS_OF_POLICIES)
def test_what_is_dumped_loads_as_equal_policies(policies: list[Policy]) -> None:
    assert recipes.load(recipes.dump(policies)) == policies


@given(ANY_POLICIES)
def test_policies_of_any_member_survive(policies: list[Policy]) -> None:
    assert repr(recipes.load(recipes.dump(policies))) == repr(policies)


@given(ANY_POLICIES)
def test_so_they_do_with_a_name_for_everything(policies: list[Policy]) -> None:
    recipe = recipes.Recipe(policies, parts_of(policies))
    again = recipes.load(recipe.to_yaml())
    assert repr(again) == repr(recipe)
    assert again.to_yaml() == recipe.to_yaml()


def test_every_kind_of_setting_survives() -> None:
    assert repr(recipes.load(recipes.dump(POLICIES))) == repr(POLICIES)


def test_a_bare_action_is_a_policy_without_a_window() -> None:
    assert recipes.load(recipes.dump([Prune(Cubic(0.5))])) == [Policy(Prune(Cubic(0.5)))]


def test_defaults_are_left_out_and_bare_members_are_names() -> None:
    text = recipes.dump([Policy(Prune(Cubic(0.5), Random(), Block()), Window())])
    assert text.split("\n")[2:] == [
        "- prune:",
        "    schedule:",
        "      cubic: {final: 0.5}",
        "    criterion: random",
        "    structure: block",
        "  window: {}",
        "",
    ]


def test_a_regularizer_is_written_as_it_stands_now() -> None:
    penalty = Regularize(RegL1(0.1))
    penalty.regularizer.lamda = 0.25
    assert recipes.load(recipes.dump([penalty]))[0].action.regularizer.lamda == 0.25


class Mine(Schedule):
    """In no registry."""

    initial, final = 0.0, 1.0

    def _level(self, progress: float) -> float:
        return progress


class Strange(LambdaScheduler):
    """In no registry either, though its base is."""


class Own(Action):
    """An action of the user's."""

    def bind(self, site: Any) -> Any:
        raise NotImplementedError


@pytest.mark.parametrize(
    ("policies", "said"),
    [
        ([], "policies is \\[\\], expected a list"),
        (Prune(Linear(0.5)), "expected a list of at least one policy"),
        ("version: 1\n", "expected a list of at least one policy"),
        ([Linear(0.5)], "a policy is Linear.*expected a Policy or an action"),
        ([SetLR(Mine())], "Mine .*is in no registry"),
        ([Steer(Strange())], "is in no registry"),
        ([Own()], "is in no registry"),
    ],
)
def test_what_a_recipe_cannot_say(policies: Any, said: str) -> None:
    with pytest.raises(SettingError, match=said):
        recipes.dump(policies)
