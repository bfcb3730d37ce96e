"""The JSON Schema accepts what loads, and finds misspelt names, wrong types and what is missing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from typer.testing import CliRunner

from prunus import recipes
from prunus.cli import app
from prunus.errors import RecipeError
from prunus.policy import Policy
from prunus.recipes.faults import Report
from prunus.recipes.kinds import FAMILIES, SECTIONS, settings_of
from prunus.recipes.nodes import Node
from prunus.recipes.text import parse
from prunus.schedules import SCHEDULES, Cubic
from tests.recipes.random_policies import ANY_POLICIES
from tests.recipes.test_dump import LISTS_OF_POLICIES
from tests.recipes.test_load import MEMBERS, minimal, policy_with
from tests.recipes.test_load import TEXT as EVERYTHING
from tests.recipes.test_parts import TEXT as PARTS
from tests.recipes.test_ready import READY

jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed (it is in the extra dev)")
SCHEMA = recipes.json_schema()
CHECK = jsonschema.Draft7Validator(SCHEMA)


def plain(node: Node) -> Any:
    """Return what an editor sees: the values without their places."""
    if isinstance(node.value, dict):
        return {name: plain(pair.value) for name, pair in node.value.items()}
    return [plain(item) for item in node.value] if isinstance(node.value, list) else node.value


def valid(text: str) -> bool:
    return CHECK.is_valid(plain(parse(text, "<text>", Report())))


def test_it_is_a_schema() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    assert json.loads(json.dumps(SCHEMA)) == SCHEMA


def test_every_reference_leads_somewhere() -> None:
    names = {part.split('"')[0] for part in json.dumps(SCHEMA).split("#/definitions/")[1:]}
    assert names <= set(SCHEMA["definitions"])


@pytest.mark.parametrize("path", READY, ids=lambda path: path.stem)
def test_ready_recipes_are_valid(path: Path) -> None:
    assert valid(path.read_text(encoding="utf-8"))
    assert valid(recipes.load(path).to_yaml())


@pytest.mark.parametrize("text", [EVERYTHING, PARTS], ids=["everything", "parts"])
def test_what_uses_the_whole_language_is_valid(text: str) -> None:
    assert valid(text)
    assert valid(recipes.load(text).to_yaml())


@given(LISTS_OF_POLICIES | ANY_POLICIES)
def test_whatever_is_dumped_is_valid(policies: list[Policy]) -> None:
    assert valid(recipes.dump(policies))


@pytest.mark.parametrize(("family", "name"), MEMBERS, ids=lambda value: getattr(value, "__name__", value))
def test_every_member_and_each_of_its_settings_is_known(family: type, name: str) -> None:
    member = FAMILIES[family][name]
    written = minimal(member)
    assert CHECK.is_valid({"version": 1, "policies": [policy_with(family.__name__, {name: written})]})
    for key in settings_of(member):
        wrong = {**written, key: {"no": {"such": "value"}}}
        assert not CHECK.is_valid({"version": 1, "policies": [policy_with(family.__name__, {name: wrong})]})
    wrong = {**written, "no_such_setting": 1}
    assert not CHECK.is_valid({"version": 1, "policies": [policy_with(family.__name__, {name: wrong})]})


MISTAKES = {
    "version": ("version: 1", "version: 2"),
    "no version": ("version: 1\n", ""),
    "a key of the recipe": ("policies:", "polices:"),
    "a section": ("schedules:", "schedule:"),
    "an action": ("prune: {schedule: $ramp}", "prun: {schedule: $ramp}"),
    "two actions": ("  - prune:", "  - steer: {steering: feedback}\n    prune:"),
    "no action": ("  - prune: {schedule: $ramp}\n    window", "  - window"),
    "an action's key": ("select: $chosen}}", "selects: $chosen}}"),
    "a member": ("cubic", "cubik"),
    "a bare member": ("whole: filter", "whole: filtr"),
    "a member that needs settings": ("ramp: {cubic: {final: $final}}", "ramp: cubic"),
    "two members": ("{cubic: {final: $final}}", "{cubic: {final: $final}, one_shot: {final: 1}}"),
    "a required setting": ("{final: $final}", "{initial: $final}"),
    "a number as text": ("{final: $final}", "{final: '0.9'}"),
    "a list": ("include: $body", "include: 'body.*'"),
    "a window's key": ("end: 0.5dur", "ende: 0.5dur"),
    "a window's unit": ("end: 0.5dur", "unit: epochs"),
    "half a frequency": ("end: 0.5dur", "frequency: 0.5"),
    "no name": ("thin: {prune", "th in: {prune"),
    "a name inside a text": ("window: $early", "window: x$early"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_planted_mistakes_are_found(name: str) -> None:
    right, wrong = MISTAKES[name]
    assert PARTS.count(right) >= 1
    assert not valid(PARTS.replace(right, wrong, 1))
    with pytest.raises(RecipeError):
        recipes.load(PARTS.replace(right, wrong, 1))


def test_editors_are_told_what_things_mean() -> None:
    prune = SCHEMA["definitions"]["policy"]["properties"]["prune"]
    seed = prune["anyOf"][0]["properties"]["seed"]
    assert prune["description"].startswith("Prune to a scheduled sparsity")
    assert (seed["default"], seed["description"]) == (0, "of the generator that random criteria draw from.")
    assert SCHEMA["definitions"]["window"]["properties"]["unit"]["anyOf"][0] == {"enum": ["epoch", "step"]}


def test_every_section_is_in_it() -> None:
    assert set(SECTIONS) <= set(SCHEMA["properties"])


def test_a_new_member_is_in_it_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SCHEDULES, "mine", Cubic)
    assert "mine" in recipes.json_schema()["definitions"]["schedule"]["anyOf"][1]["properties"]


def test_the_command_prints_it() -> None:
    result = CliRunner().invoke(app, ["schema"])
    assert (result.exit_code, json.loads(result.output)) == (0, SCHEMA)
