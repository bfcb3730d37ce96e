"""prunus lint: what is printed, what leaves with which status, and that --fix shows what it did."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from prunus.cli import app, findings
from prunus.recipes.faults import Fault, Place, Rename
from prunus.recipes.lint import Findings

COMMAND = CliRunner()
HERE = Path(__file__).parents[1] / "recipes/lint"
CLEAN = "version: 1\npolicies:\n  - prune: {schedule: {linear: {final: 0.9}}}\n"
WARNED = CLEAN + "    window: {start: 3, end: 4}\n"
WRONG = CLEAN.replace("linear", "liner")
CODE = """
import torch


def model():
    return torch.nn.Sequential(torch.nn.Linear(4, 2))
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "lint_code.py").write_text(CODE)
    for name, text in {"clean": CLEAN, "warned": WARNED, "wrong": WRONG}.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.delitem(sys.modules, "lint_code", raising=False)
    return tmp_path


def call(*arguments: str) -> Any:
    return COMMAND.invoke(app, ["lint", *arguments])


def test_a_clean_recipe_says_so(here: Path) -> None:
    result = call("clean.yaml", "--model", "lint_code:model", "--epochs", "10")
    assert (result.exit_code, result.output) == (0, "clean.yaml: no fault found\n")


def test_an_error_with_its_line(here: Path) -> None:
    result = call("wrong.yaml")
    assert result.exit_code == 1
    assert result.output.splitlines() == [
        "wrong.yaml:3:24: error: unknown schedule 'liner' [unknown-name]",
        "  3 │   - prune: {schedule: {liner: {final: 0.9}}}",
        "    │                        ^^^^^ Did you mean 'linear'?",
        "",
        "wrong.yaml: 1 error; --fix puts 1 name right",
    ]


def test_warnings_leave_with_0_and_the_worst_of_several_counts(here: Path) -> None:
    assert call("warned.yaml").exit_code == 0
    result = call("warned.yaml", "wrong.yaml")
    assert result.exit_code == 1
    assert result.output.splitlines()[-2:] == [
        "warned.yaml: 1 warning",
        "wrong.yaml: 1 error; --fix puts 1 name right",
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        ["missing.yaml"],
        [],
        ["clean.yaml", "--model", "lint_code"],
        ["clean.yaml", "--model", "lint_code:modle"],
        ["clean.yaml", "--format", "xml"],
        ["clean.yaml", "--epochs", "0"],
    ],
)
def test_a_wrong_call_leaves_with_2(here: Path, arguments: list[str]) -> None:
    assert call(*arguments).exit_code == 2


def test_json(here: Path) -> None:
    result = call("wrong.yaml", "--format", "json")
    (recipe,) = json.loads(result.output)["recipes"]
    (found,) = recipe["findings"]
    assert result.exit_code == 1 and recipe["language"] == "native"
    assert (found["line"], found["code"], found["rename"]) == (3, "unknown-name", {"old": "liner", "new": "linear"})


def test_fix_shows_the_change_and_what_is_left(here: Path) -> None:
    result = call("wrong.yaml", "--fix")
    assert result.exit_code == 0 and Path("wrong.yaml").read_text() == CLEAN
    assert result.output.splitlines() == [
        "--- wrong.yaml",
        "+++ wrong.yaml",
        "@@ -2,2 +2,2 @@",
        " policies:",
        "-  - prune: {schedule: {liner: {final: 0.9}}}",
        "+  - prune: {schedule: {linear: {final: 0.9}}}",
        "",
        "wrong.yaml: no fault found",
    ]


@pytest.mark.parametrize("language", ["native", "distiller"])
def test_ten_planted_mistakes_are_printed_with_their_lines(language: str) -> None:
    result = call(str(HERE / f"ten_{language}.yaml"))
    heads = [line for line in result.output.splitlines() if f"ten_{language}.yaml:" in line][:-1]
    assert len(heads) == 10 and result.exit_code == 1
    lines = [int(line.partition(".yaml:")[2].split(":")[0]) for line in heads]
    assert all(f"{line:>3} │ " in result.output for line in lines)


def shown(fault: Fault, line: str, width: int = 60) -> list[str]:
    console = Console(width=width)
    with console.capture() as caught:
        findings.show(Findings("native", (fault,)), {"a.yaml": [line]}, console)
    return caught.get().splitlines()


def test_a_long_line_is_cut_around_the_place() -> None:
    line = "x" * 100 + " wrong " + "y" * 100
    _, quoted, below, _ = shown(Fault(Place("a.yaml", 1, 102), "m", rename=Rename("wrong", "right")), line)
    assert len(quoted) <= 60 and quoted.startswith("  1 │ …") and quoted.endswith("…")
    assert quoted[below.index("^") : below.rindex("^") + 1] == "wrong"


def test_wide_letters_and_tabs_keep_the_mark_below_the_place() -> None:
    _, quoted, below, _ = shown(Fault(Place("a.yaml", 1, 5), "m"), "漢字\t wrong")
    assert below == "    │       ^^^^^" and quoted == "  1 │ 漢字  wrong"


def test_a_place_behind_the_line_and_a_file_without_lines() -> None:
    assert shown(Fault(Place("a.yaml", 1, 99), "m", "Try."), "short")[1:3] == [
        "  1 │ short",
        "    │ " + " " * 5 + "^ Try.",
    ]
    assert shown(Fault(Place("a.yaml"), "m", "Try."), "short")[:2] == ["a.yaml: error: m []", "    Try."]


def test_a_long_suggestion_gets_a_line_of_its_own() -> None:
    found = shown(Fault(Place("a.yaml", 1, 40), "m", "Try something else altogether."), "x" * 50)
    assert found[2].strip().endswith("^") and found[3] == "    │ Try something else altogether."


ODD = {
    "plain": ("scop: global", 2, 0),
    "in quotes": ("'scop': global", 2, 0),
    "with an escape": ('"sco\\x70": global', 1, 1),
    "with an anchor": ("&key scop: global", 1, 1),
    "through a variable": ("scope: $what", 1, 1),
}


@pytest.mark.parametrize("case", ODD)
def test_the_last_line_counts_what_fix_changes_and_what_it_leaves(here: Path, case: str) -> None:
    setting, right, left = ODD[case]
    schedule = "  - prune:\n      schedule: {liner: {final: 0.9}}\n"
    Path("odd.yaml").write_text(f"version: 1\nvariables: {{what: globall}}\npolicies:\n{schedule}      {setting}\n")
    leaves = f"leaves {left} name to you"
    promised = call("odd.yaml").output.splitlines()[-1].partition("; --fix ")[2]
    assert promised == f"puts {right} name{'s' * (right > 1)} right" + f" and {leaves}" * left
    *_, last = lines = call("odd.yaml", "--fix").output.splitlines()
    assert sum(line.startswith("-  ") for line in lines) == right
    assert last.partition("; --fix ")[2] == leaves * left


def test_of_two_names_that_would_be_one_key_the_last_line_promises_one(here: Path) -> None:
    Path("odd.yaml").write_text(WRONG.replace("{schedule", "{scop: global, scopee: global, schedule"))
    assert call("odd.yaml").output.splitlines()[-1].endswith("; --fix puts 2 names right and leaves 1 name to you")
