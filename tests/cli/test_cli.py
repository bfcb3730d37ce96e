"""The command line: version, help, errors in one sentence, a progress board that reads."""

from __future__ import annotations

import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

import prunus
from prunus.cli import app, main
from prunus.cli.progress import Board
from prunus.errors import MissingExtraError
from prunus.report import Point

COMMAND = CliRunner()


def test_version() -> None:
    result = COMMAND.invoke(app, ["--version"])
    assert result.exit_code == 0 and result.output == f"prunus {prunus.__version__}\n"


def test_help_names_every_option_of_the_demo() -> None:
    result = COMMAND.invoke(app, ["demo", "--help"], env={"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"})
    assert result.exit_code == 0
    for option in ("--out", "--epochs", "--seed", "--quick", "--data", "--digits", "--picture"):
        assert option in result.output


@pytest.mark.parametrize("command", typer.main.get_command(app).commands.items(), ids=lambda item: item[0])  # type: ignore[attr-defined]
def test_help_shows_every_word_of_every_option(command: tuple[str, Any]) -> None:
    """Rich takes [words] for a colour and :words: for a picture, and leaves out what it took."""
    shown = COMMAND.invoke(app, [command[0], "--help"], env={"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}).output
    words = " ".join(option.help or "" for option in command[1].params).split()
    assert [word for word in words if word not in shown.split()] == []


@pytest.mark.parametrize("arguments", [["demo", "--epochs", "0"], ["demo", "--seed", "-1"], ["demmo"]])
def test_wrong_arguments_are_refused_before_anything_runs(arguments: list[str]) -> None:
    assert COMMAND.invoke(app, arguments).exit_code == 2


def test_an_error_of_prunus_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["prunus", "demo", "--data", str(tmp_path), "--out", str(tmp_path / "out")])
    with pytest.raises(SystemExit) as left:
        main()
    said = " ".join(capsys.readouterr().err.split())
    assert left.value.code == 1
    assert said.startswith("error") and "lacks Fashion-MNIST" in said and "Traceback" not in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("package", ["jinja2", "matplotlib"])
def test_the_demo_asks_for_what_it_needs_at_its_end_before_it_trains(
    package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prunus.cli.extras.find_spec", lambda name: None if name == package else object())
    arguments = [
        "demo",
        "--quick",
        "--epochs",
        "1",
        "--out",
        str(tmp_path / "out"),
        "--picture",
        str(tmp_path / "p.png"),
    ]
    fault = COMMAND.invoke(app, arguments).exception
    assert isinstance(fault, MissingExtraError) and f"needs {package}: pip install 'prunus[report]'" in str(fault)
    assert not (tmp_path / "out").exists()


def test_the_module_is_the_command() -> None:
    result = subprocess.run([sys.executable, "-m", "prunus", "--version"], capture_output=True, text=True, check=True)
    assert result.stdout == f"prunus {prunus.__version__}\n"


def test_the_board_shows_the_last_reading_of_every_run_in_eighty_columns() -> None:
    console = Console(width=80, file=StringIO(), force_terminal=False)
    with Board(console, ["dense", "AdaBreg, λ feedback, 98 %"], epochs=15) as board:
        board.read("dense", Point(14.0, accuracy=0.5))
        board.read("AdaBreg, λ feedback, 98 %", Point(15.0, loss=0.0123, sparsity=0.98, accuracy=0.975))
        board.read("AdaBreg, λ feedback, 98 %", Point(15.0, loss=0.0123, sparsity=0.98))
    drawn = console.file.getvalue()  # type: ignore[attr-defined]
    for words in ("AdaBreg, λ feedback, 98 %", "15/15", "loss 0.012", "98.00 % zero", "97.5 % right"):
        assert words in drawn


def test_nothing_heavy_is_loaded_before_a_command_runs() -> None:
    """Else ``--help`` takes seconds, and OpenMP no longer reads how its threads shall wait."""
    code = "import sys, prunus.cli; print([name for name in ('torch', 'numpy', 'matplotlib') if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
