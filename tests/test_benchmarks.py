"""The driver of `make bench`: whole sections, each as soon as it is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "run.py").write_text("raise SystemExit('the driver must not run itself')")
    (tmp_path / "_shared.py").write_text("raise SystemExit('a helper is no benchmark')")
    (tmp_path / "b.py").write_text('"""Second claim.\n\nMore."""\nprint("| ratio | 2 |")\n')
    (tmp_path / "a.py").write_text('"""First claim."""\nprint("- one")\n')
    (tmp_path / "RESULTS.md").write_text("before")
    return tmp_path


def test_all_sections_are_written_in_order_with_the_machine(folder: Path) -> None:
    assert run.main([], folder) == 0
    text = (folder / "RESULTS.md").read_text()
    assert text.index("## a\n\nFirst claim.") < text.index("- one") < text.index("## b\n\nSecond claim.")
    assert all(f"| {fact} | " in text for fact in ("date", "commit", "machine", "versions", "threads"))
    assert sorted(path.name for path in folder.iterdir()) == ["RESULTS.md", "_shared.py", "a.py", "b.py", "run.py"]


def test_a_failure_costs_no_other_section(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run.main([], folder)
    (folder / "a.py").write_text("print('half')\nraise SystemExit(3)")
    (folder / "b.py").write_text('"""Second claim."""\nprint("| ratio | 3 |")\n')
    assert run.main([], folder) == 1
    text = (folder / "RESULTS.md").read_text()
    assert "- one" in text and "half" not in text and "| ratio | 3 |" in text
    assert "a.py failed with exit status 3" in capsys.readouterr().err


def test_what_has_no_script_any_more_goes(folder: Path) -> None:
    run.main([], folder)
    (folder / "a.py").unlink()
    assert run.main([], folder) == 0
    assert "## a" not in (folder / "RESULTS.md").read_text()


def test_a_named_script_is_shown_and_not_written(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main(["a"], folder) == 0
    shown = capsys.readouterr().out
    assert "- one" in shown
    assert "## b" not in shown
    assert (folder / "RESULTS.md").read_text() == "before"


def test_an_update_replaces_its_own_section_and_keeps_the_others(folder: Path) -> None:
    run.main([], folder)
    (folder / "b.py").write_text('"""Second claim."""\nprint("| ratio | 3 |")\n')
    (folder / "a.py").write_text("raise SystemExit('not asked for')")
    assert run.main(["--update", "b"], folder) == 0
    text = (folder / "RESULTS.md").read_text()
    assert "- one" in text and "| ratio | 3 |" in text and "| ratio | 2 |" not in text
    assert text.index("## a") < text.index("## b") and text.count("# Results") == 1


def test_an_unknown_name_lists_the_known_ones(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main(["keeep"], folder) == 1
    assert capsys.readouterr().err == "no such benchmark: keeep; there are: a, b\n"
