"""Every rule finds what breaks it, at its place, and is silent where nothing does."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest
from torch import nn

from prunus.recipes.lint import RULES, lint
from tests.recipes.lint.examples import EXAMPLES, HEAD, PRUNE, network, window, within

ROOT = Path(__file__).parents[3]
READY = sorted((ROOT / "recipes").rglob("*.yaml"))


def codes(text: str, **known: object) -> list[str]:
    return [fault.code for fault in lint(HEAD + text, **known).faults]


def test_every_rule_has_an_example_and_a_line_in_the_docs() -> None:
    assert list(RULES) == sorted(RULES) == sorted(EXAMPLES)
    page = (ROOT / "docs/lint.md").read_text(encoding="utf-8")
    assert [code for code in RULES if f"| `{code}` |" not in page] == []


@pytest.mark.parametrize("code", RULES)
def test_it_lives_in_a_file_of_its_name(code: str) -> None:
    rule = RULES[code]
    assert rule.__module__ == f"prunus.recipes.lint.rules.{code.replace('-', '_')}"
    assert (inspect.getdoc(inspect.getmodule(rule)) or "").startswith(f"{code}: ")


@pytest.mark.parametrize("code", EXAMPLES)
def test_it_finds_what_breaks_it(code: str) -> None:
    bad, place, _, known = EXAMPLES[code]
    (fault,) = lint(HEAD + bad, **known).faults
    assert (fault.code, f"{fault.line}:{fault.column}") == (code, place)
    assert fault.suggestion and not fault.message.endswith(".")


@pytest.mark.parametrize("code", EXAMPLES)
def test_it_is_silent_where_nothing_does(code: str) -> None:
    assert codes(EXAMPLES[code][2], **EXAMPLES[code][3]) == []


@pytest.mark.parametrize("path", READY, ids=lambda path: path.stem)
def test_ready_recipes_have_neither_errors_nor_warnings(path: Path) -> None:
    findings = lint(path, epochs=40, steps_per_epoch=100)
    assert [str(fault) for fault in findings.faults if fault.severity != "notice"] == []
    assert findings.language == ("distiller" if path.parent.name == "distiller" else "native")


class TestMore:
    def test_weights_are_named_where_there_is_a_model(self) -> None:
        both = (
            within(0, 3, 0.5)
            + "  - prune: {schedule: {one_shot: {final: 0.6}}, select: {include: [fc]}}\n"
            + window("end: 1")
        )
        (fault,) = lint(HEAD + both, model=network()).faults
        assert fault.code == "overlap" and "fc.weight" in fault.message

    def test_another_structure_at_once_is_a_notice(self) -> None:
        filters = "  - prune: {schedule: {one_shot: {final: 0.5}}, structure: row}\n" + window("end: 2")
        (fault,) = lint(HEAD + within(0, 2, 0.5) + filters).faults
        assert (fault.code, fault.severity) == ("overlap", "notice")

    def test_an_empty_window_is_an_error(self) -> None:
        (fault,) = lint(HEAD + PRUNE % "" + window("start: 0.5dur, end: 0.52dur"), epochs=10).faults
        assert (fault.code, fault.severity) == ("run-too-short", "error")

    def test_exclude_and_types_are_looked_up(self) -> None:
        text = PRUNE % ", select: {exclude: [head, 'conv*'], types: [Linea]}"
        found = [(fault.code, fault.column) for fault in lint(HEAD + text, model=network()).faults]
        assert found == [("no-match", 66), ("no-match", 90)]
        text = PRUNE % ", select: {include: [fc], exclude: [conv]}"
        assert codes(text, model=network()) == ["pattern-overlap"]

    def test_a_selection_that_leaves_nothing(self) -> None:
        text = PRUNE % ", select: {min_elements: 1000000}"
        (fault,) = lint(HEAD + text, model=network()).faults
        assert fault.code == "no-match" and "the selection is empty" in fault.message

    def test_a_certain_parameter_name_can_be_put_right(self) -> None:
        (fault,) = lint(HEAD + PRUNE % ", select: {include: [fc.weigth]}", model=network()).faults
        assert fault.rename is not None and fault.rename.new == "fc.weight"

    def test_the_model_stays_as_it_is(self) -> None:
        model = network()
        before = {name: value.clone() for name, value in model.state_dict().items()}
        lint(HEAD + PRUNE % "", model=model)
        assert all((before[name] == value).all() for name, value in model.state_dict().items())

    def test_a_model_without_parameters(self) -> None:
        assert codes(PRUNE % "", model=nn.ReLU()) == ["no-match"]


DISTILLER = """\
pruners:
  early: {class: SparsityLevelParameterPruner, levels: {module.fc.weight: %s}}
  late: {class: SparsityLevelParameterPruner, levels: {module.fc.weight: %s}}
policies:
  - {pruner: {instance_name: early}, starting_epoch: 0, ending_epoch: 3, frequency: 1}
  - {pruner: {instance_name: late}, starting_epoch: %s, ending_epoch: 9, frequency: 1}
"""


class TestDistiller:
    def test_falling(self) -> None:
        (fault,) = lint(DISTILLER % (0.5, 0.4, 3)).faults
        assert (fault.code, fault.line, fault.column) == ("falling", 6, 5)
        assert "fc.weight" in fault.message and "come back" in fault.suggestion

    def test_two_pruners_at_once_are_an_error_without_a_model_too(self) -> None:
        (fault,) = lint(DISTILLER % (0.5, 0.5, 2)).faults
        assert (fault.code, fault.severity, fault.line) == ("conflict", "error", 6)
        assert "conflict" in [fault.code for fault in lint(DISTILLER % (0.5, 0.5, 2), model=network()).faults]

    def test_levels_of_nothing(self) -> None:
        codes = [fault.code for fault in lint(DISTILLER % (0.5, 0.01, 3), model=network()).faults]
        assert "falling" in codes and "too-few-groups" in codes
        assert [
            f.code for f in lint(DISTILLER % (0.01, 0.02, 3), model=network()).faults if f.severity == "warning"
        ] == ["too-few-groups"]

    def test_names_of_the_model(self) -> None:
        text = (DISTILLER % (0.4, 0.5, 3)).replace("module.fc.weight", "module.fc.weigth")
        (first, second) = [fault for fault in lint(text, model=network()).faults if fault.severity == "error"]
        assert first.rename == second.rename == ("module.fc.weigth", "module.fc.weight")

    def test_the_run(self) -> None:
        (fault,) = lint(DISTILLER % (0.4, 0.5, 5), epochs=5).faults
        assert (fault.code, fault.column) == ("run-too-short", 37)


WORDS = {
    "a list": "- a\n- b\n",
    "a sentence": "hello\nworld\n",
    "nothing": "\n",
    "a broken bracket": "version: [1\n",
    "policies as text": "version: 1\npolicies: all\n",
    "quantizers": "quantizers: {a: {class: B}}\npolicies: []\n",
}


@pytest.mark.parametrize("name", WORDS)
def test_what_is_no_recipe_is_a_finding(name: str) -> None:
    findings = lint(WORDS[name])
    assert findings.count("error") >= 1 and all(fault.code for fault in findings.faults)


def test_a_mapping_is_a_source_too() -> None:
    findings = lint({"policies": [{"pruner": {"instance_name": "a"}}]})
    assert findings.language == "distiller"
    assert re.match(r"policies\[0\]", str(findings.faults[0].place))


def test_a_distiller_regularizer_of_strength_0() -> None:
    text = """\
regularizers:
  mine: {class: L1Regularizer, reg_regims: {module.fc.weight: 0, conv.weight: 0.1}}
policies:
  - {regularizer: {instance_name: mine}, epochs: [0]}
"""
    (fault,) = lint(text).faults
    assert (fault.code, fault.line, fault.column) == ("idle-penalty", 2, 45)
    assert [fault.severity for fault in lint(text, model=network()).faults].count("warning") == 1
