"""What a recipe may say: every registered member by its name and settings, and every form the settings take."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from inspect import Parameter
from pathlib import Path
from typing import Any, Literal

import pytest

from prunus import recipes
from prunus.actions import Prune, Regularize, SetLR, Steer
from prunus.criteria import CRITERIA, Magnitude
from prunus.errors import RecipeError
from prunus.policy import Policy
from prunus.recipes.building import UNREADABLE, read
from prunus.recipes.faults import Report
from prunus.recipes.kinds import FAMILIES, fits, settings_of
from prunus.recipes.nodes import Node, from_plain
from prunus.regularizers import GroupLasso, RegL1
from prunus.schedules import SCHEDULES, Cubic, Levels, Linear, Schedule
from prunus.scopes import PerLayer
from prunus.select import Select
from prunus.steering import LambdaScheduler, SparsityBudget
from prunus.structures import Block
from prunus.window import Window

TEXT = """\
# everything at once
version: 1
policies:
  - prune:
      schedule: {cubic: {final: 0.9, initial: 1e-1}}
      criterion: {magnitude: {p: .inf, average: true}}
      structure: {block: {rows: 2}}
      scope: per_layer
      select:
        include: ["layer1.*", 'head']
        exclude: [a b]
        min_elements: 10
      seed: 7
    window: {start: 0.2dur, end: 0.8dur, frequency: 2, unit: step}
  - regularize: {regularizer: {group_lasso: {lamda: 1, structure: block}}}
    window:
  - steer: {steering: {budget: {target: .98, schedule: {cubic: {final: .98}}}}}
  - steer: {steering: feedback}
    window: {start: 3, end: ~}
  - set_lr: {schedule: {linear: {initial: 1.0, final: 0.0}}}
"""

POLICIES = [
    Policy(
        Prune(
            Cubic(0.9, 0.1),
            Magnitude(float("inf"), True),
            Block(2),
            PerLayer(),
            Select(("layer1.*", "head"), ("a b",), min_elements=10),
            7,
        ),
        Window("0.2dur", "0.8dur", 2, "step"),
    ),
    Policy(Regularize(GroupLasso(1.0, Block()))),
    Policy(Steer(SparsityBudget(0.98))),
    Policy(Steer(LambdaScheduler()), Window(3)),
    Policy(SetLR(Linear(initial=1.0, final=0.0))),
]


def read_as(value: Any, kind: Any) -> Any:
    report = Report()
    return read(from_plain(value, report), kind, "setting", report)


def minimal(kind: type) -> dict[str, Any]:
    """Return settings for the required parameters of a member, whatever their types."""
    choices = (
        0.5,
        [0.5],
        {"linear": {"final": 0.5}},
        "l1",
        "feedback",
        {"prune": {"schedule": {"linear": {"final": 0.5}}}},
    )
    takes = {key: one.kind for key, one in settings_of(kind).items() if one.required}
    return {key: next(choice for choice in choices if _readable(choice, take)) for key, take in takes.items()}


def _readable(choice: Any, kind: Any) -> bool:
    report = Report()
    return fits(choice, kind) and read(from_plain(choice, report), kind, "", report) is not UNREADABLE


def policy_with(family: str, member: Any) -> dict[str, Any]:
    """Return a policy that uses a member of the family, wherever an action takes one."""
    places = {
        "Criterion": {"prune": {"schedule": {"linear": {"final": 0.5}}, "criterion": member}},
        "Regularizer": {"regularize": {"regularizer": member}},
        "Schedule": {"set_lr": {"schedule": member}},
        "Scope": {"prune": {"schedule": {"linear": {"final": 0.5}}, "scope": member}},
        "Steering": {"steer": {"steering": member}},
        "Structure": {"prune": {"schedule": {"linear": {"final": 0.5}}, "structure": member}},
    }
    return member if family == "Action" else places[family]


MEMBERS = [(family, name) for family, registry in FAMILIES.items() for name in registry]


def test_text_and_file_and_mapping_say_the_same(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(TEXT, encoding="utf-8")
    assert repr(recipes.load(TEXT)) == repr(recipes.load(path)) == repr(recipes.load(str(path))) == repr(POLICIES)


def test_every_load_builds_new_members() -> None:
    one, other = recipes.load(TEXT), recipes.load(TEXT)
    assert one[1].action.regularizer is not other[1].action.regularizer


@pytest.mark.parametrize(("family", "name"), MEMBERS, ids=lambda value: getattr(value, "__name__", value))
def test_every_registered_member_loads_and_comes_back(family: type, name: str) -> None:
    member = FAMILIES[family][name]
    written = {name: minimal(member)}
    policies = recipes.load({"version": 1, "policies": [policy_with(family.__name__, written)]})
    assert member.__name__ in repr(policies)
    assert repr(recipes.load(recipes.dump(policies))) == repr(policies)


@pytest.mark.parametrize(("family", "name"), MEMBERS, ids=lambda value: getattr(value, "__name__", value))
def test_every_setting_of_every_member_is_of_a_kind_that_can_be_written(family: type, name: str) -> None:
    for setting in settings_of(FAMILIES[family][name]).values():
        if setting.default is not Parameter.empty and isinstance(setting.default, (bool, int, float, str)):
            assert read_as(setting.default, setting.kind) == setting.default


def test_a_new_member_needs_no_change_here(monkeypatch: pytest.MonkeyPatch) -> None:
    @dataclass(frozen=True)
    class Step(Schedule):
        final: float
        at: float | None = None
        sizes: Mapping[str, float] | None = None
        mode: Literal["up", "down"] = "up"
        pair: tuple[int, float] = (1, 2.0)
        initial: float = 0.0

        def _level(self, progress: float) -> float:
            return self.final

    monkeypatch.setitem(SCHEDULES, "step", Step)
    said = {"final": 0.5, "at": 1, "sizes": {"fc.weight": 1}, "mode": "down", "pair": [2, 3]}
    (policy,) = recipes.load({"version": 1, "policies": [{"set_lr": {"schedule": {"step": said}}}]})
    assert policy.action.schedule == Step(0.5, 1.0, {"fc.weight": 1.0}, "down", (2, 3.0))
    assert repr(recipes.load(recipes.dump([policy]))) == repr([policy])
    with pytest.raises(RecipeError, match="mode is the text 'upp', expected 'up' or 'down'"):
        recipes.load({"version": 1, "policies": [{"set_lr": {"schedule": {"step": {**said, "mode": "upp"}}}}]})


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        (1, float, 1.0),
        (1, int | str, 1),
        ("0.2dur", int | str, "0.2dur"),
        (None, int | None, None),
        ([], tuple[str, ...], ()),
        ([1, 2], list[float], [1.0, 2.0]),
        ("cubic", str | Schedule, "cubic"),
        ({"linear": {"final": 1}}, Schedule | None, Linear(1.0)),
        ({"levels": {"levels": [0, 0.5]}}, Schedule, Levels((0.0, 0.5))),
        ({"magnitude": None}, CRITERIA["magnitude"].__mro__[1], Magnitude()),
        ({"end": 4}, Window | None, Window(end=4)),
        ({}, Select, Select()),
    ],
)
def test_forms(value: Any, kind: Any, expected: Any) -> None:
    found = read_as(value, kind)
    assert (found, type(found)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("~", None),
        ("", None),
        ("null", None),
        ("true", True),
        ("False", False),
        ("yes", "yes"),
        ("none", "none"),
        ("12", 12),
        ("-3", -3),
        ("+0.5", 0.5),
        ("1e-3", 0.001),
        ("1.", 1.0),
        (".5", 0.5),
        ("1_000", "1_000"),
        ("0x10", "0x10"),
        ("-.inf", float("-inf")),
        ("'12'", "12"),
        ('"\\x41"', "A"),
        ("2026-11-21", "2026-11-21"),
        ("9" * 500, float("inf")),
    ],
)
def test_scalars_are_those_of_yaml_1_2(written: str, value: Any) -> None:
    from prunus.recipes.text import parse

    node: Node = parse(f"a: {written}\n", "file", Report()).value["a"].value
    assert (node.value, type(node.value)) == (value, type(value))


def test_without_libyaml_everything_is_read_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    import yaml

    from prunus.recipes import text

    ready = sorted((Path(__file__).parents[2] / "recipes").rglob("*.yaml"))
    sources = [TEXT, TEXT.replace("\n", "\r\n"), *(path.read_text(encoding="utf-8") for path in ready)]
    fast = [text.parse(source, "file", Report()) for source in sources]
    monkeypatch.setattr(text, "LOADER", yaml.SafeLoader)
    assert [text.parse(source, "file", Report()) for source in sources] == fast


def test_an_alias_shares_a_part_but_not_its_object() -> None:
    first, second = recipes.load("version: 1\npolicies:\n- regularize: &l1 {regularizer: l1}\n- regularize: *l1\n")
    assert first == second == Policy(Regularize(RegL1()))
    assert first.action.regularizer is not second.action.regularizer


def test_a_byte_order_mark_and_windows_line_ends_are_fine(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + TEXT.replace("\n", "\r\n").encode())
    assert repr(recipes.load(path)) == repr(POLICIES)


def test_importing_recipes_does_not_load_the_yaml_parser() -> None:
    code = "import sys, prunus.recipes; print('yaml' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=True)
    assert ran.stdout.split() == ["False"]
