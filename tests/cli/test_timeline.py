"""prunus timeline: a recipe of either language to a table, blocks and a picture."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from prunus.cli import app
from prunus.errors import PrunusError

ROOT = Path(__file__).parents[2]
GRADUAL = ROOT / "recipes/fashion_mnist/gradual_erdos_renyi.yaml"
MIXED = ROOT / "recipes/distiller/mixed_alexnet.yaml"
CODE = """
from torch import nn


def lenet():
    return nn.Sequential(nn.Linear(784, 300), nn.Linear(300, 100), nn.Linear(100, 10))
"""


def call(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["timeline", *map(str, arguments)])


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "timeline_code.py").write_text(CODE)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.delitem(sys.modules, "timeline_code", raising=False)


def test_a_recipe_of_steps_says_how_many_it_takes_for_granted() -> None:
    found = call(GRADUAL, "--epochs", 8)
    assert found.exit_code == 0, found.output
    assert "2 policies over 8 epochs of 100 steps" in found.output
    assert "100 an epoch are assumed, --steps-per-epoch says another" in " ".join(found.output.split())
    told = call(GRADUAL, "--epochs", 8, "--steps-per-epoch", 215)
    assert "of 215 steps" in told.output and "assumed" not in told.output


def test_a_recipe_of_distillers_and_a_policy_that_never_acts() -> None:
    found = call(MIXED, "--epochs", 20)
    assert found.exit_code == 0, found.output
    lines = found.output.splitlines()
    assert lines[0] == "mixed_alexnet.yaml: 3 policies over 20 epochs"
    assert lines[1].startswith("✕ policy 3, ExponentialLR, never acts: begins with epoch 24")


@pytest.mark.parametrize("recipe", [GRADUAL, MIXED], ids=["native", "distiller"])
def test_nothing_of_the_compiler_is_loaded(recipe: Path) -> None:
    """Any optimizer of torch's own loads all of torch.compile when it is made: a second, and nothing trains here."""
    code = "import sys; from prunus.cli import app; app(sys.argv[1:], standalone_mode=False); "
    code += "sys.exit('torch._dynamo' in sys.modules)"
    command = [sys.executable, "-c", code, "timeline", str(recipe), "--epochs", "8"]
    ran = subprocess.run(command, capture_output=True, text=True)
    assert (ran.returncode, ran.stderr) == (0, "")


@pytest.mark.usefixtures("code")
def test_with_a_model_targets_have_names_and_shares(tmp_path: Path) -> None:
    picture = tmp_path / "timeline.svg"
    options = ["--epochs", 8, "--steps-per-epoch", 50, "--model", "timeline_code:lenet", "--lr", 0.01, "-o", picture]
    found = call(GRADUAL, *options)
    assert found.exit_code == 0, found.output
    assert [line.split()[-1] for line in found.output.splitlines() if "weight" in line] == [
        "0.weight", "1.weight", "2.weight"
    ]  # fmt: skip
    assert "0.01" in picture.read_text() and "share of its start" not in picture.read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere.yaml", "--epochs", 3], "'nowhere.yaml': cannot be read"),
        ([GRADUAL, "--epochs", 3, "--model", "math:sqrt"], "was called without arguments"),
        ([GRADUAL, "--epochs", 3, "-o", "timeline.jpeg"], "the suffix of the picture is '.jpeg'"),
        ([GRADUAL, "--epochs", 3, "--lr", -1], "lr is -1.0"),
    ],
)
def test_mistakes_are_named(arguments: list[object], said: str) -> None:
    found = call(*arguments)
    assert isinstance(found.exception, PrunusError) and said in str(found.exception)
