"""``prunus train`` and ``prunus compare``: Hydra's whole command line, errors with the nearest name, one table."""

from __future__ import annotations

import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from prunus.cli import app, compare
from prunus.cli.train import run
from prunus.errors import PrunusError, SettingError
from prunus.tasks.experiment import Outcome, outcomes

COMMAND = CliRunner()
SMALL = ["datamodule.train=200", "datamodule.test=100", "datamodule.validation=50", "trainer.log_every_n_steps=1"]
SMALL += ["trainer.max_epochs=2", "trainer.accelerator=cpu"]


def drawn(found: list[Outcome], each: bool = False) -> str:
    console = Console(width=200, file=StringIO())
    compare.show(found, each=each, console=console)
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_an_experiment_runs_and_leaves_its_outcome(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = "target=0.9"
    (outcome,) = run(["experiment=vision/digits_budget", target, *SMALL, f"paths.root={tmp_path}"])
    assert outcome.count.zeros == int(0.9 * outcome.count.total) and outcome.name == "digits_budget"
    assert 0 < outcome.size < outcome.dense_size / 6 and outcome.epochs == 2
    said = capsys.readouterr().out
    assert "epoch   2/2" in said and "90.00 %" in said and "GPU available" not in said
    (read,) = outcomes([tmp_path])
    assert read.metrics == outcome.metrics and target in read.overrides


def test_a_multirun_is_compared_in_one_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["train", "-m", "experiment=vision/digits_dense", "seed=1,2", "trainer.max_epochs=1", *SMALL[:4]]
    result = COMMAND.invoke(app, [*command, f"paths.root={tmp_path}"], catch_exceptions=False)
    assert result.exit_code == 0
    assert result.output.splitlines()[-1].split()[:2] == ["digits_dense", "2"] and " ± " in result.output
    again = COMMAND.invoke(app, ["compare", str(tmp_path)])
    assert again.output.splitlines()[-1] == result.output.splitlines()[-1]


def test_the_configuration_is_shown_by_hydra(capsys: pytest.CaptureFixture[str]) -> None:
    run(["--cfg", "job", "--package", "trainer", "trainer.max_epochs=3"])
    assert "max_epochs: 3" in capsys.readouterr().out


def test_your_own_experiment_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The example of docs/train.md, as it stands there."""
    page = (Path(__file__).parents[2] / "docs" / "train.md").read_text(encoding="utf-8")
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text(page.partition("```yaml\n")[2].partition("```")[0])
    run(["--config-dir", str(tmp_path), "experiment=mine", "--cfg", "job"])
    shown = capsys.readouterr().out
    for words in ("name: wide", "name: x_vector_small", "target: 0.95", "lr: 0.002", "seed: 42"):
        assert words in shown
    with pytest.raises(SettingError, match="'experiment/mime'. Did you mean 'experiment/mine'"):
        run(["--config-dir", str(tmp_path), "experiment=mime", "--cfg", "job"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["trainer.max_epoch=2"], "there is no setting 'trainer.max_epoch'. Did you mean 'trainer.max_epochs'?"),
        (["trainer.max_epoch=2"], "write +trainer.max_epoch=2"),
        (["experiment=sv_pruning_bregman"], "Did you mean 'experiment/sv/sv_pruning_bregman'?"),
        (["experiment=sv/sv_pruning_bregmann"], "Did you mean 'experiment/sv/sv_pruning_bregman'?"),
        (["module/optimizer=adabrg"], "Did you mean 'module/optimizer/adabreg'?"),
        (["modul=lenet5"], "there is no setting 'modul'. Did you mean 'module'?"),
        (["trainer.max_epochs=["], "override_grammar"),
        (["seed=-1"], "seed is -1"),
        (["test=bets"], "Did you mean 'best'?"),
        (["module.model.name=lenet"], "module.model (prunus.tasks.vision.build): model is 'lenet'"),
        (["ckpt_path=last"], "holds no run to go on with"),
        (["ckpt_path=lost.ckpt"], "neither a checkpoint file nor the folder of a run"),
        (["datamodule.folder=/nowhere"], "which source='digits' does not read"),
        (["experiment=vision/digits_budget", "module/optimizer=adam"], "Adam would ignore them"),
        (
            ["experiment=vision/digits_magnitude", "+callbacks.model_pruning.final_amount=0.9"],
            "lightning.MagnitudePruner): MagnitudePruner was given unknown arguments: final_amount",
        ),
    ],
)
def test_what_is_wrong_is_said_with_the_nearest_name(arguments: list[str], said: str, tmp_path: Path) -> None:
    with pytest.raises(PrunusError) as caught:
        run([*arguments, f"paths.root={tmp_path}"])
    assert said in " ".join(str(caught.value).split())


def test_help_says_that_the_arguments_are_hydras() -> None:
    result = COMMAND.invoke(app, ["train", "--help"], env={"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"})
    assert result.exit_code == 0
    for words in ("--config-dir", "--cfg job", "-m", "ckpt_path=last"):
        assert words in result.output


def test_without_hydra_the_error_names_the_extra() -> None:
    code = (
        "import sys; sys.modules['hydra'] = None; sys.argv = ['prunus', 'train']; from prunus.cli import main; main()"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 1 and "pip install prunus[lightning]" in " ".join(result.stderr.split())


def test_runs_of_one_name_are_averaged_and_intervals_are_shown() -> None:
    sparse = [Outcome("sparse", seed, {"test/eer": 0.10 + seed / 100}, 9, 10, 100, 1000, 60.0) for seed in (0, 2)]
    interval = {"test/eer": 0.05, "test/eer_low": 0.04, "test/eer_high": 0.06, "test/min_dcf": 0.5}
    shown = drawn([Outcome("dense", 0, interval, 0, 10, 900, 1000), *sparse])
    assert "5.00 % (4.00–6.00)" in shown and "11.00 % ± 1.41" in shown and "eer_low" not in shown
    assert "90.00 %" in shown and "10×" in shown and "1 min 00 s" in shown
    assert len(drawn(sparse, each=True).splitlines()) == len(drawn(sparse).splitlines()) + 1


def test_compare_filters_by_tag_and_says_when_nothing_is_left(tmp_path: Path) -> None:
    from prunus.tasks.experiment import write

    write(Outcome("tagged", 0, {}, tags=("speech",)), tmp_path)
    assert "tagged" in COMMAND.invoke(app, ["compare", str(tmp_path), "--tag", "speech"]).output
    result = COMMAND.invoke(app, ["compare", str(tmp_path), "--tag", "image"])
    assert isinstance(result.exception, SettingError) and "'image'" in str(result.exception)
