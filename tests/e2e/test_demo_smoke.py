"""``prunus demo --quick`` from the command to the page: every run, every count, nothing but files of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from prunus.checkpoints import load_sparse
from prunus.cli import app
from prunus.cli import demo as command
from prunus.measure import Count, count
from prunus.tasks.demo import RUNS
from prunus.tasks.vision import digits, fashion


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The digits on every machine, and few of them."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("PRUNUS_DATA", raising=False)
    monkeypatch.setattr(fashion, "SYSTEM_FOLDER", tmp_path)
    monkeypatch.setattr("prunus.cli.demo.QUICK_TRAIN", 320)
    monkeypatch.setattr("prunus.cli.demo.QUICK_TEST", 100)


@pytest.mark.usefixtures("small")
def test_the_demo_ends_with_the_table_and_the_page(tmp_path: Path) -> None:
    out, picture = tmp_path / "out", tmp_path / "demo.png"
    result = CliRunner().invoke(app, ["demo", "--quick", "--out", str(out), "--picture", str(picture)])
    assert result.exit_code == 0, result.output
    assert "Used here: 320 to train on, 100 to test on." in " ".join(result.output.split())
    assert f"report  {out / 'report.html'}" in result.output
    page = (out / "report.html").read_text("utf-8")
    for run in RUNS:
        assert run.title in result.output and run.title in page
        weights = [weight for weight in load_sparse(out / f"{run.key}.ckpt").values() if weight.dim() > 1]
        left = {None: 430_500, 0.9: 43_050, 0.98: 8_610}[run.asked]
        assert str(Count(430_500 - left, 430_500)) in page
        if run.method in ("magnitude", "budget"):
            assert count(weights).kept == left
    assert {path.name for path in out.iterdir()} == {"report.html", *(f"{run.key}.ckpt" for run in RUNS)}
    assert picture.stat().st_size < 150_000


def test_a_quick_demo_takes_few_images() -> None:
    assert len(command._images(None, digits=True, quick=True).train_labels) == command.QUICK_TRAIN < digits.TRAIN
