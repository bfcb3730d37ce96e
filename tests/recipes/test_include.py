"""Recipes made of several files: what comes from where, what may be replaced, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from prunus import recipes
from prunus.actions import Prune, SetLR
from prunus.policy import Policy
from prunus.recipes.including import FILES
from prunus.schedules import Cubic, Linear
from tests.recipes.test_faults import faults_of, only_fault

BASE = """\
version: 1
variables: {final: 0.9}
schedules:
  ramp: {cubic: {final: $final}}
  decay: {linear: {initial: 1, final: 0}}
"""
MAIN = """\
version: 1
include: parts/base.yaml
policies:
  - prune: {schedule: $ramp}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "parts").mkdir()
    write("parts/base.yaml", BASE)
    return tmp_path


def write(name: str, text: str) -> str:
    Path(name).write_text(text, encoding="utf-8")
    return name


def test_parts_come_from_another_file_and_its_spare_ones_are_nobodys_mistake(folder: Path) -> None:
    assert recipes.load(write("main.yaml", MAIN)) == [Policy(Prune(Cubic(0.9)))]


def test_paths_count_from_the_file_that_names_them(folder: Path) -> None:
    write("parts/middle.yaml", "version: 1\ninclude: [base.yaml]\n")
    main = write("main.yaml", MAIN.replace("base", "middle"))
    assert recipes.load(folder / main) == recipes.load(main) == [Policy(Prune(Cubic(0.9)))]


def test_text_and_mappings_include_from_the_working_folder(folder: Path) -> None:
    source = {"version": 1, "include": ["parts/base.yaml"], "policies": [{"prune": {"schedule": "$ramp"}}]}
    assert recipes.load(MAIN) == recipes.load(source) == [Policy(Prune(Cubic(0.9)))]


def test_variables_of_an_included_file_can_be_set(folder: Path) -> None:
    assert recipes.load(MAIN, variables={"final": 0.5})[0].action == Prune(Cubic(0.5))


def test_the_round_trip_makes_one_text_of_all_files(folder: Path) -> None:
    text = recipes.load(MAIN).to_yaml()
    assert "include" not in text and "decay" not in text
    assert recipes.load(text) == recipes.load(MAIN)


def test_included_policies_come_first(folder: Path) -> None:
    write("parts/base.yaml", BASE + "policies:\n  - set_lr: {schedule: $decay}\n")
    assert [type(policy.action) for policy in recipes.load(MAIN)] == [SetLR, Prune]


def test_a_recipe_may_have_all_its_policies_from_elsewhere(folder: Path) -> None:
    write("parts/base.yaml", BASE + "policies:\n  - set_lr: {schedule: $decay}\n")
    text = "version: 1\ninclude: parts/base.yaml\nreplace: [final]\nvariables: {final: 0.5}\n"
    assert recipes.load(text) == [Policy(SetLR(Linear(initial=1.0, final=0.0)))]


def test_a_file_that_two_others_include_is_taken_up_once(folder: Path) -> None:
    for name in ("one", "two"):
        write(f"parts/{name}.yaml", "version: 1\ninclude: base.yaml\n")
    assert recipes.load(MAIN.replace("parts/base.yaml", "[parts/one.yaml, parts/two.yaml]"))


def test_what_a_file_says_again_it_replaces_only_where_it_says_so(folder: Path) -> None:
    again = MAIN + "schedules: {ramp: {linear: {final: 0.5}}}\n"
    fault = only_fault(again)
    assert fault == (
        "<text>:5:13: name 'ramp' again; it is already in schedules at parts/base.yaml:4:3; "
        "to put this one in its place write replace: [ramp]"
    )
    assert recipes.load(again + "replace: [ramp]\n")[0].action == Prune(Linear(0.5))
    assert recipes.load(MAIN + "replace: final\nvariables: {final: 0.5}\n")[0].action == Prune(Cubic(0.5))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("replace: [rampp]\n", "<text>:5:11: replace names 'rampp', which no included file has. Did you mean 'ramp'?"),
        ("replace: [ramp]\n", "<text>:5:11: replace names 'ramp', which this file does not define"),
        ("replace: [ramp, ramp]\nschedules: {ramp: {cubic: {final: 1}}}\n", "<text>:5:17: replace names 'ramp' again"),
        ("replace: 3\n", "<text>:5:10: replace is 3, expected a name, or a list of such"),
        ("replace: [final]\nselects: {final: {}}\n", "<text>:6:11: 'final' cannot replace one of variables, at parts"),
    ],
)
def test_what_cannot_be_replaced(folder: Path, more: str, said: str) -> None:
    assert faults_of(MAIN + more)[0].startswith(said)


def test_two_included_files_may_not_say_the_same(folder: Path) -> None:
    write("parts/other.yaml", BASE)
    found = faults_of(MAIN.replace("parts/base.yaml", "[parts/base.yaml, parts/other.yaml]"))
    assert [fault.split(";")[0] for fault in found] == [
        "parts/other.yaml:2:13: name 'final' again",
        "parts/other.yaml:4:3: name 'ramp' again",
        "parts/other.yaml:5:3: name 'decay' again",
    ]


def test_circles_are_named(folder: Path) -> None:
    write("main.yaml", MAIN)
    write("parts/base.yaml", BASE + "include: ../main.yaml\n")
    assert only_fault("main.yaml") == (
        "parts/base.yaml:6:10: '../main.yaml' includes itself: main.yaml → base.yaml → main.yaml"
    )
    write("self.yaml", MAIN.replace("parts/base.yaml", "self.yaml") + "schedules: {ramp: {cubic: {final: 1}}}\n")
    assert only_fault("self.yaml").endswith("'self.yaml' includes itself: self.yaml → self.yaml")


@pytest.mark.parametrize(
    ("include", "said"),
    [
        (
            "parts/bse.yaml",
            "'parts/bse.yaml' cannot be included (No such file or directory). Did you mean 'parts/",
        ),
        ("nowhere/base.yaml", "'nowhere/base.yaml' cannot be included (No such file or directory). None is known."),
        ("parts", "'parts' cannot be included (not a file)"),
        ("[parts/base.yaml, parts/base.yaml]", "include names 'parts/base.yaml' again; it is already at <text>:2:11"),
        ("3", "include is 3, expected the path of a recipe, or a list of such"),
        ("'a\0'", "cannot be included"),
    ],
)
def test_what_cannot_be_included(folder: Path, include: str, said: str) -> None:
    text = MAIN.replace("parts/base.yaml", include.replace("\0", "\\0").replace("'", '"'))
    found = faults_of(text)
    assert said in found[0]
    assert found[0].startswith("<text>:2:")


def test_a_missing_file_does_not_make_its_names_unknown(folder: Path) -> None:
    assert "cannot be included" in only_fault(MAIN.replace("base", "bse"))


def test_faults_of_all_files_come_together_the_recipe_first(folder: Path) -> None:
    write("parts/base.yaml", BASE.replace("cubic", "cubik").replace("version: 1", "version: 2"))
    assert faults_of(MAIN + "polices: []\n") == [
        "<text>:5:1: unknown key 'polices' of the recipe. Did you mean 'policies'?",
        "parts/base.yaml:1:10: version is 2, expected 1, the only one that this prunus reads",
        "parts/base.yaml:4:10: unknown schedule 'cubik'. Did you mean 'cubic'?",
    ]


def test_an_included_file_is_held_to_the_same_rules(folder: Path) -> None:
    write("parts/base.yaml", "version: !!python/name:os.system 1\n")
    assert "parts/base.yaml:1:10: tag '!!python/name:os.system' is refused" in faults_of(MAIN)[-1]
    Path("parts/base.yaml").write_bytes(b"\xff")
    assert only_fault(MAIN) == "parts/base.yaml:1:1: not UTF-8 from here on; save the recipe in UTF-8"
    write("parts/base.yaml", "- 1\n")
    assert "parts/base.yaml:1:1: a recipe is a mapping of version and policies, found a list" in only_fault(MAIN)


def test_size_counts_over_all_files(folder: Path) -> None:
    for name in ("base", "two"):
        write(f"parts/{name}.yaml", f"version: 1\nvariables: {{{name}: [{'1, ' * 6000}]}}\n")
    found = faults_of(MAIN.replace("parts/base.yaml", "[parts/base.yaml, parts/two.yaml]"))
    assert "more than 10,000 values in all files together" in found[0]


def test_the_number_of_files_is_bounded(folder: Path) -> None:
    names = [write(f"parts/{i}.yaml", "version: 1\n") for i in range(FILES + 1)]
    assert f"more than {FILES} files" in only_fault(MAIN.replace("parts/base.yaml", f"[{', '.join(names)}]"))


def test_files_that_include_each_other_in_a_row_are_bounded(folder: Path) -> None:
    for i in range(50):
        write(f"parts/{i}.yaml", f"version: 1\ninclude: {i + 1}.yaml\n")
    assert "32 that include each other" in faults_of(MAIN.replace("base", "0"))[0]
