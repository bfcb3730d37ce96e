"""prunus convert: a recipe that loads, or the reasons with their lines and nothing written."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from prunus import recipes
from prunus.cli import app

COMMAND = CliRunner()
GOOD = """\
version: 1
pruners:
  fc: {class: AutomatedGradualPruner, initial_sparsity: 0.05, final_sparsity: 0.8, weights: module.0.weight}
policies:
  - {pruner: {instance_name: fc}, starting_epoch: 0, ending_epoch: 9, frequency: 2}
"""
BAD = GOOD + "  - {pruner: {instance_name: limits}, epochs: [20]}\n"
BAD = BAD.replace("policies:", "  limits: {class: SensitivityPruner, sensitivities: {module.0.weight: 0.5}}\npolicies:")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "convert_code.py").write_text(
        "import torch\n\n\ndef model():\n    return torch.nn.Sequential(torch.nn.Linear(4, 2))\n"
    )
    (tmp_path / "good.yaml").write_text(GOOD)
    (tmp_path / "bad.yaml").write_text(BAD)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.delitem(sys.modules, "convert_code", raising=False)
    return tmp_path


def call(*arguments: str) -> Any:
    return COMMAND.invoke(app, ["convert", *arguments])


def test_the_recipe_goes_to_the_terminal_and_remarks_beside_it(here: Path) -> None:
    result = call("good.yaml")
    assert result.exit_code == 0 and result.stdout.startswith("# Converted by prunus convert from good.yaml")
    (policy,) = recipes.load(result.stdout)
    assert policy.action.select.include == ("0.weight",)
    assert "'module.' is left out of 1 names" in result.stderr


def test_the_recipe_goes_to_a_file(here: Path) -> None:
    result = call("good.yaml", "-o", "new/native.yaml", "--model", "convert_code:model")
    assert result.exit_code == 0 and result.stdout == "recipe    new/native.yaml\n"
    assert len(recipes.load("new/native.yaml")) == 1


def test_what_has_no_equivalent_is_said_with_its_line_and_nothing_is_written(here: Path) -> None:
    result = call("bad.yaml", "-o", "native.yaml")
    assert result.exit_code == 1 and result.stdout == "" and not Path("native.yaml").exists()
    assert "bad.yaml:7:5: error: SensitivityPruner of policies[1]: a threshold decides" in result.stderr
    assert "nothing was written" in result.stderr


def test_a_wrong_call_leaves_with_2(here: Path) -> None:
    assert call("missing.yaml").exit_code == call("good.yaml", "--model", "convert_code:nothing").exit_code == 2
