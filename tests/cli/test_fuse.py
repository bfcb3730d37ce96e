"""``prunus fuse``, ``prunus inspect`` and scripts/make_pruning_permanent.py: what they write, say and return."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import nn
from torch.nn.utils import prune
from typer.testing import CliRunner

from prunus.checkpoints import read
from prunus.cli import app, main
from tests.models import mlp

COMMAND = CliRunner()
SCRIPT = Path(__file__).parents[2] / "scripts" / "make_pruning_permanent.py"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A checkpoint laid out as Lightning's: one layer pruned to 75 %, and an optimizer."""
    model = mlp()
    prune.l1_unstructured(model[0], "weight", amount=0.75)
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(1, 8)).sum().backward()
    optimizer.step()
    path = tmp_path / "a.ckpt"
    torch.save(
        {"state_dict": model.state_dict(), "optimizer_states": [optimizer.state_dict()], "lr_schedulers": []}, path
    )
    return path


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_pruning_permanent", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def said(text: str) -> str:
    return " ".join(text.split())


def test_fuse_writes_beside_the_file_and_reports(file: Path) -> None:
    result = COMMAND.invoke(app, ["fuse", str(file)])
    assert result.exit_code == 0
    out, target = said(result.output), file.with_name("a_permanent.ckpt")
    assert "pruned entries 1 0" in out
    assert "zeros 0.00 % (212 of 212 left) 45.28 % (116 of 212 left)" in out
    assert f"bytes on disk {file.stat().st_size:,} {target.stat().st_size:,}" in out
    assert "optimizer state dropped (--keep-optimizer keeps it)" in out and f"written {target}" in out
    assert set(read(target)["state_dict"]) == set(mlp().state_dict())


def test_fuse_with_every_option(file: Path, tmp_path: Path) -> None:
    target = tmp_path / "b.pt"
    options = ["--output", str(target), "--keep-optimizer", "--optimizer-built", "after", "--ignore", "*.x_mask", "-v"]
    result = COMMAND.invoke(app, ["fuse", str(file), *options])
    assert result.exit_code == 0, result.output
    assert "0.weight 16 × 8 0.00% 75.00%" in said(result.output) and "optimizer state kept" in said(result.output)
    assert read(target)["optimizer_states"][0]["state"][0]["exp_avg"].shape == (16, 8)


def test_analyze_writes_nothing(file: Path) -> None:
    result = COMMAND.invoke(app, ["fuse", str(file), "--analyze"])
    assert result.exit_code == 0 and "written nothing (--analyze)" in said(result.output)
    assert os.listdir(file.parent) == ["a.ckpt"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["fuse", "gone.ckpt"], "does not exist"),
        (["fuse", "clean.pt"], "nothing to fuse"),
        (["fuse", "torn.pt"], "'weight_orig' has no 'weight_mask'"),
        (["fuse", "unsafe.ckpt"], "--trust"),
        (["fuse", "a.ckpt", "--optimizer-built", "afterwards"], "Did you mean 'after'?"),
        (["fuse", "a.ckpt", "--output", "nowhere/b.ckpt"], "the folder nowhere does not exist"),
        (["inspect", "gone.ckpt"], "does not exist"),
        (["inspect", "a.h5"], "suffix '.h5'"),
    ],
)
def test_a_failure_is_one_sentence_and_a_status(
    arguments: list[str], expected: str, file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(file.parent)
    torch.save(mlp().state_dict(), "clean.pt")
    torch.save({"weight_orig": torch.ones(1)}, "torn.pt")
    torch.save({"state_dict": {"weight": torch.ones(1)}, "layer": nn.Identity()}, "unsafe.ckpt")
    before = sorted(os.listdir())
    monkeypatch.setattr(sys, "argv", ["prunus", *arguments])
    with pytest.raises(SystemExit) as left:
        main()
    shown = said(capsys.readouterr().err)
    assert left.value.code == 1 and shown.startswith("error") and expected in shown and "Traceback" not in shown
    assert sorted(os.listdir()) == before


def test_inspect_shows_every_parameter_and_the_totals(file: Path) -> None:
    result = COMMAND.invoke(app, ["inspect", str(file)])
    assert result.exit_code == 0
    out = said(result.output)
    assert "0.weight 16 × 8 float32 75.00% 75.00% 1,024" in out and "0.bias 16 float32 0.00% 64" in out
    assert "total 212 45.28% 45.28% 1,360" in out and f"{file.stat().st_size:,} bytes on disk" in out


def test_inspect_of_a_clean_file_with_scalars_and_nothing(tmp_path: Path) -> None:
    torch.save({"scale": torch.tensor(0.0), "nothing": torch.zeros(0, 3), "note": "text"}, tmp_path / "a.pt")
    out = said(COMMAND.invoke(app, ["inspect", str(tmp_path / "a.pt")]).output)
    assert "scale scalar float32 100.00% 4" in out and "nothing 0 × 3 float32 – 0" in out


def test_the_script_fuses_and_analyses(file: Path, script: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert script.main(["--analyze", str(file), "--input", "gone.ckpt", "-v"]) == 0
    assert os.listdir(file.parent) == ["a.ckpt"] and "0.weight" in capsys.readouterr().out
    assert script.main(["-i", str(file)]) == 0 and file.with_name("a_permanent.ckpt").exists()
    assert script.main(["-i", str(file), "-o", str(file.with_name("b.ckpt")), "--keep-optimizer"]) == 0
    assert "optimizer_states" in read(file.with_name("b.ckpt"))


@pytest.mark.parametrize("arguments", [["-i", "gone.ckpt"], ["-a", "gone.ckpt"], ["-i", "a.h5"]])
def test_the_script_fails_with_a_status(
    arguments: list[str], script: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    assert script.main(arguments) == 1 and capsys.readouterr().err.startswith("error")


def test_the_script_runs_by_itself_and_helps_who_asks_for_nothing() -> None:
    ran = subprocess.run([sys.executable, str(SCRIPT)], capture_output=True, text=True, timeout=300)
    assert ran.returncode == 2 and "--analyze" in ran.stdout
