"""--fix: only the names that are certain, nothing else in the file, never half a file."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from prunus import recipes
from prunus.recipes.lint import fix, lint
from tests.recipes.lint.examples import network

HERE = Path(__file__).parent
WRONG = """\
# A comment.
version: 1
policies:
  - prune:   # another
      schedule:  {cubik: {final: 0.9}}
      "scop": 'globall'
    windw: {start: 0,
            unit: epochs}
"""
RIGHT = WRONG.replace("cubik", "cubic").replace("scop", "scope").replace("globall", "global")
RIGHT = RIGHT.replace("windw", "window").replace("epochs", "epoch")


def test_names_are_put_right_and_all_else_stays(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(WRONG)
    (change,) = fix(path)
    assert (change.file, change.before, change.after) == (path, WRONG, RIGHT)
    assert path.read_text() == RIGHT
    assert recipes.load(path) and fix(path) == []


@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_line_breaks_and_marks_stay(tmp_path: Path, line_break: str, mark: str) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_bytes((mark + WRONG.replace("\n", line_break)).encode())
    fix(path)
    assert path.read_bytes() == (mark + RIGHT.replace("\n", line_break)).encode()


def test_other_letters_do_not_shift_the_place(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(
        "version: 1\npolicies:\n"
        "  - {prune: {schedule: {linear: {final: 0.5}}, select: {include: ['λ→𝕏']}, scop: global}}\n"
    )
    fix(path)
    assert "'λ→𝕏']}, scope: global" in path.read_text()


def test_the_included_file_is_put_right_too(tmp_path: Path) -> None:
    (tmp_path / "common.yaml").write_text("version: 1\nschedules: {ramp: {cubik: {final: 0.9}}}\n")
    main = tmp_path / "main.yaml"
    main.write_text("version: 1\ninclude: common.yaml\npolicies:\n  - prune: {schedule: $rmap}\n")
    assert {change.file.name for change in fix(main)} == {"common.yaml", "main.yaml"}
    assert lint(main).faults == ()


def test_what_is_not_certain_stays(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    text = "version: 1\npolicies:\n  - prune: {schedule: {cbc: {final: 0.9}}, see: 3, scop: global, scope: global}\n"
    path.write_text(text)
    assert fix(path) == [] and path.read_text() == text


def test_a_rename_that_would_make_a_key_twice_is_left(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(
        "version: 1\npolicies:\n  - prune: {scop: global, scopee: global, schedule: {linear: {final: 0.5}}}\n"
    )
    fix(path)
    assert path.read_text().count("scope:") == 1


def test_a_value_that_comes_through_a_variable_stays(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    policy = "  - prune: {schedule: {linear: {final: 0.5}}, scope: $what}\n"
    text = f"version: 1\nvariables: {{what: globall}}\npolicies:\n{policy}"
    path.write_text(text)
    assert fix(path) == [] and path.read_text() == text


def test_distiller_files_and_names_of_the_model(tmp_path: Path) -> None:
    path = tmp_path / "schedule.yaml"
    shutil.copy(HERE / "ten_distiller.yaml", path)
    path.write_text(path.read_text().replace("module.conv1.weight", "module.conv.weigth"))
    before = lint(path, model=network()).count("error")
    (change,) = fix(path, model=network())
    assert "class: AutomatedGradualPruner\n    initial_sparsity: 0.05" in change.after
    assert lint(path, model=network()).count("error") < before


@pytest.mark.skipif(os.name == "nt", reason="modes and links are those of POSIX")
def test_mode_and_link_stay(tmp_path: Path) -> None:
    real, link = tmp_path / "real.yaml", tmp_path / "link.yaml"
    real.write_text(WRONG)
    real.chmod(0o640)
    link.symlink_to(real)
    fix(link)
    assert link.is_symlink() and real.read_text() == RIGHT and real.stat().st_mode & 0o777 == 0o640
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.yaml", "real.yaml"]
