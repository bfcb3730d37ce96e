"""Names in a recipe: parts that policies share, and variables; what is unknown, unused, cyclic or twice is said."""

from __future__ import annotations

from typing import Any

import pytest

from prunus import recipes
from prunus.actions import Prune, Regularize
from prunus.errors import NoEffect, RecipeError
from prunus.policy import Policy
from prunus.recipes.kinds import FAMILIES, SECTIONS
from prunus.recipes.nodes import DEPTH
from prunus.regularizers import GroupLasso
from prunus.schedules import Cubic, OneShot
from prunus.select import Select
from prunus.structures import Filter
from prunus.window import Window
from tests.recipes.test_faults import faults_of, only_fault

TEXT = """\
version: 1
variables: {final: 0.9, body: ["body.*"]}
schedules:
  ramp: {cubic: {final: $final}}
selects:
  body: {include: $body}
structures:
  whole: filter
regularizers:
  lasso: {group_lasso: {lamda: 0.1, structure: $whole}}
windows:
  early: {end: 0.5dur}
actions:
  thin: {prune: {schedule: $ramp, select: $chosen}}
policies:
  - action: $thin
    window: $early
  - prune: {schedule: $ramp}
    window: ${early}
  - regularize: {regularizer: $lasso}
  - regularize: {regularizer: $lasso, select: $chosen}
""".replace("  body: {", "  chosen: {")

POLICIES = [
    Policy(Prune(Cubic(0.9), select=Select(("body.*",))), Window(0, "0.5dur")),
    Policy(Prune(Cubic(0.9)), Window(0, "0.5dur")),
    Policy(Regularize(GroupLasso(0.1, Filter()))),
    Policy(Regularize(GroupLasso(0.1, Filter()), Select(("body.*",)))),
]
HEAD = "version: 1\n"
USES = "policies:\n  - prune: {schedule: %s}\n"


def test_every_kind_of_part_has_a_name_in_every_place() -> None:
    assert recipes.load(TEXT) == POLICIES


def test_every_family_has_a_section() -> None:
    assert set(FAMILIES) <= set(SECTIONS.values())
    assert list(SECTIONS) == sorted(SECTIONS)


def test_what_can_change_is_built_for_each_use_and_what_cannot_once() -> None:
    first, second, penalty, other = recipes.load(TEXT)
    assert first.action.schedule is second.action.schedule
    assert penalty.action.regularizer is not other.action.regularizer


def test_the_round_trip_keeps_names_and_merges_variables() -> None:
    recipe = recipes.load(TEXT)
    text = recipe.to_yaml()
    again = recipes.load(text)
    assert (again, again.to_yaml()) == (recipe, text)
    assert "thin" in text and "$ramp" in text and "variables" not in text
    assert recipes.dump(recipe).count("cubic") == 2


def test_a_part_that_nobody_uses_any_more_is_not_written() -> None:
    recipe = recipes.load(TEXT)
    del recipe[0]
    assert "thin" not in recipe.to_yaml()


def test_a_steered_strength_is_written_as_it_stands() -> None:
    recipe = recipes.load(TEXT)
    recipe[2].action.regularizer.lamda = 0.2
    assert recipes.load(recipe.to_yaml())[2].action.regularizer.lamda == 0.2


def test_values_from_outside_replace_variables() -> None:
    recipe = recipes.load(TEXT, variables={"final": 1, "body": ["head"]})
    assert recipe[0].action == Prune(Cubic(1.0), select=Select(("head",)))


def test_variables_keep_their_types_and_may_hold_anything() -> None:
    text = HEAD + "variables: {unit: step, at: 3, none: ~, settings: {final: 0.5}, which: {one_shot: $settings}}\n"
    text += "policies:\n  - prune: {schedule: $which}\n    window: {unit: $unit, start: $at, end: $none}\n"
    assert recipes.load(text) == [Policy(Prune(OneShot(0.5)), Window(3, unit="step"))]
    assert recipes.load(text, variables={"none": 9})[0].window == Window(3, 9, unit="step")


def test_a_dollar_sign_is_written_twice() -> None:
    text = HEAD + "policies:\n  - prune: {schedule: {cubic: {final: 1}}, select: {include: [$$a, 'b$$c']}}\n"
    recipe = recipes.load(text)
    assert recipe[0].action.select.include == ("$a", "b$c")
    assert recipes.load(recipe.to_yaml()) == recipe


def test_a_name_may_be_that_of_a_member() -> None:
    text = HEAD + "schedules: {cubic: {linear: {final: 0.5}}}\n" + USES % "$cubic"
    assert type(recipes.load(text)[0].action.schedule).__name__ == "Linear"


def test_an_unused_part_is_warned_of() -> None:
    text = HEAD + "schedules: {ramp: {cubic: {final: 1}}}\n" + USES % "{cubic: {final: 1}}"
    with pytest.warns(NoEffect, match=r"^<text>:2:13: nothing uses the schedule 'ramp'$"):
        recipe = recipes.load(text)
    assert [fault.severity for fault in recipe.warnings] == ["warning"]
    assert recipes.check(text) == list(recipe.warnings)


CUBIC = "{cubic: {final: 1}}"
RAMP = "schedules: {ramp: {cubic: {final: 1}}}\n"
# (sections, what a policy's schedule is, place, what is said)
ONE_FAULT = {
    "unknown": (RAMP, "$rmap", "4:23", "unknown name '$rmap'. Did you mean '$ramp'?"),
    "unknown in braces": (RAMP, "'${rmap}'", "4:23", "'${rmap}'. Did you mean '${ramp}'?"),
    "none at all": ("", "$ramp", "3:23", "unknown name '$ramp'. None is known."),
    "inside a text": ("variables: {a: 1}\n", "x$a", "4:23", "'x$a': a name after a dollar sign stands for a whole"),
    "no name": ("", "$1", "3:23", "write $$ for the sign itself"),
    "unused variable": ("variables: {a: 1}\n", CUBIC, "2:13", "nothing uses the variable 'a'"),
    "itself": ("schedules:\n  ramp: $ramp\n", "$ramp", "3:9", "'$ramp' stands for itself: ramp → ramp"),
    "a circle": ("schedules:\n  a: $b\n  b: $a\n", "$a", "4:6", "'$a' stands for itself: a → b → a"),
    "a variable's circle": ("variables:\n  a: $a\n", "$a", "3:6", "'$a' stands for itself: a → a"),
    "another kind": ("selects: {all: {}}\n", "$all", "4:23", "schedule is a select here, expected the name of a sched"),
    "another kind in a section": (
        "selects: {all: {}}\nschedules: {ramp: $all}\n",
        "$ramp",
        "3:19",
        "ramp is a select here, expected a schedule",
    ),
    "a value of another type": (
        "variables: {final: high}\n",
        "{cubic: {final: $final}}",
        "4:39 ($final at <text>:2:20)",
        "final is the text 'high', expected a number",
    ),
    "wrong where it is defined": ("schedules: {ramp: {cubik: {final: 1}}}\n", "$ramp", "2:20", "unknown schedule 'cub"),
    "twice": (RAMP + "selects: {ramp: {}}\n", "$ramp", "3:11", "name 'ramp' again; it is already in sched"),
    "no identifier": (RAMP.replace("ramp", "a b"), CUBIC, "2:13", "'a b' is no name: letters, digits"),
    "no mapping": ("schedules: [a]\n", CUBIC, "2:12", "schedules is a list, expected a mapping of names"),
    "empty": ("schedules:\n", CUBIC, "2:1", "schedules is empty, expected a mapping of names"),
    "misspelt section": ("schedule: {}\n", CUBIC, "2:1", "unknown key 'schedule' of the recipe. Did you mean 's"),
    "nothing to replace": ("replace: [ramp]\n", CUBIC, "2:11", "replace names 'ramp', which no included file has"),
}  # fmt: skip


@pytest.mark.parametrize("name", ONE_FAULT)
def test_one_fault(name: str) -> None:
    sections, schedule, place, said = ONE_FAULT[name]
    fault = only_fault(HEAD + sections + USES % schedule)
    assert fault.startswith(f"<text>:{place}: ")
    assert said in fault


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"finl": 1}, "variables.finl: unknown variable 'finl'. Did you mean 'final'?"),
        ({"ramp": 1}, "variables.ramp: unknown variable 'ramp'. Known: body, final."),
        ({"final": "0.9"}, "variables.final: variable 'final' is the text '0.9', expected a number as at <text>:2:20"),
        ({"final": True}, "variables.final: variable 'final' is true, expected a number as at <text>:2:20"),
        ({"final": None}, "variables.final: variable 'final' is empty, expected a number as at <text>:2:20"),
        ({"body": "head"}, "variables.body: variable 'body' is the text 'head', expected a list as at <text>:2:31"),
        ({"final": object()}, "variables.final: variable 'final' is an object of type object, expected a number as"),
    ],
)
def test_values_from_outside_that_do_not_fit(given: dict[str, Any], said: str) -> None:
    found = [str(fault) for fault in recipes.check(TEXT, variables=given)]
    assert any(fault.startswith(said) for fault in found), found
    with pytest.raises(RecipeError):
        recipes.load(TEXT, variables=given)


def test_the_faults_of_a_shared_part_come_once() -> None:
    text = HEAD + "schedules: {ramp: {cubic: {final: 2}}}\n" + USES % "$ramp" + "  - set_lr: {schedule: $ramp}\n"
    assert len(faults_of(text)) == 1


def test_in_a_mapping_keys_lead_to_the_fault() -> None:
    parts = {"schedules": {"ramp": {"cubic": {"final": "$x"}}}, "variables": {"x": "y"}}
    source = {"version": 1, **parts, "policies": [{"prune": {"schedule": "$ramp"}}]}
    assert faults_of(source) == [
        "schedules.ramp.cubic.final ($x at variables.x): final is the text 'y', expected a number"
    ]


def test_a_policy_may_be_wrong_as_a_whole() -> None:
    text = HEAD + "policies:\n  - steer: {steering: {budget: {target: 0.9}}}\n    window: {end: 3}\n"
    assert only_fault(text).startswith("<text>:3:5: Steer in epochs 0 to 3: it holds only if it acts after every step")


def chain(length: int) -> str:
    """Return names that stand for one another, the last for a schedule."""
    names = "".join(f"  a{i}: $a{i + 1}\n" for i in range(length))
    return HEAD + "schedules:\n" + names + f"  a{length}: {CUBIC}\n" + USES % "$a0"


def test_long_chains_of_names_end() -> None:
    assert recipes.load(chain(5))[0].action == Prune(Cubic(1.0))
    assert f"nested more than {DEPTH} deep" in only_fault(chain(2000))


def test_names_that_repeat_each_other_end() -> None:
    variables = "".join(f"  a{i}: [{', '.join([f'$a{i + 1}'] * 9)}]\n" for i in range(25))
    text = HEAD + "variables:\n" + variables + "  a25: x\nselects: {all: {include: $a0}}\n" + USES % CUBIC
    assert faults_of(text + "    window: {end: 0}\n")  # a list of lists is no list of texts: told without going on


def test_a_large_part_is_read_once() -> None:
    names = ", ".join(f"layer{i}" for i in range(2000))
    uses = "".join("  - prune: {schedule: {cubic: {final: 1}}, select: $all}\n" for _ in range(300))
    recipe = recipes.load(HEAD + f"selects: {{all: {{include: [{names}]}}}}\npolicies:\n" + uses)
    assert recipe[0].action.select is recipe[299].action.select


def test_a_part_that_has_to_be_rebuilt_has_a_bound() -> None:
    variable = f"variables: {{names: [{', '.join(['x'] * 2000)}]}}\n"
    uses = "".join("  - regularize: {regularizer: l1, select: {include: $names}}\n" for _ in range(300))
    assert "more than 100,000 values to read" in only_fault(HEAD + variable + "policies:\n" + uses)
