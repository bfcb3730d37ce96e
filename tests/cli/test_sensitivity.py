"""prunus sensitivity: from names of code to a table, a file, a picture and a recipe."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import torch
from typer.testing import CliRunner

from prunus import recipes
from prunus.cli import app, named_code
from prunus.criteria import CRITERIA, Magnitude
from prunus.errors import PrunusError, SettingError
from prunus.measure import count
from prunus.scheduler import CompressionScheduler
from prunus.structures import STRUCTURES, Block

COMMAND = CliRunner()
CODE = """
import torch

INPUTS = torch.linspace(-1, 1, 48).view(4, 12)
NUMBER = 3


def model():
    torch.manual_seed(2)
    return torch.nn.Sequential(torch.nn.Linear(12, 20), torch.nn.Linear(20, 7))


TARGET = model()(INPUTS).detach()
MODEL = model()


def needy(path):
    return model()


def metric(model):
    with torch.no_grad():
        gap = float((model(INPUTS) - TARGET).square().mean())
    return {"fidelity": 1 - gap, "gap": gap}
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "sens_code.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.delitem(sys.modules, "sens_code", raising=False)
    return tmp_path


def call(*arguments: str, model: str = "sens_code:model", metric: str = "sens_code:metric") -> Any:
    threads = torch.get_num_threads()
    try:
        return COMMAND.invoke(app, ["sensitivity", "--model", model, "--metric", metric, *arguments])
    finally:
        torch.set_num_threads(threads)


def fault(*arguments: str, **code: str) -> str:
    found = call(*arguments, **code)
    assert isinstance(found.exception, PrunusError), found.output
    return str(found.exception)


def test_a_table_a_file_a_picture_and_a_recipe_that_keeps_its_word(here: Path) -> None:
    outputs = ["-o", "out/s.csv", "--plot", "out/s.svg", "--recipe", "out/r.yaml"]
    found = call("--levels", "0.25,0.5,0.9", "--sparsity", "0.7", *outputs)
    assert found.exit_code == 0, found.output
    assert [line.split()[0] for line in found.output.split("\n\n")[-1].strip().splitlines()] == [
        "fidelity", "0.weight", "1.weight", "readings", "picture", "recipe"
    ]  # fmt: skip
    assert (here / "out/s.csv").read_text().count("\n") == 2 + 6
    assert ElementTree.parse(here / "out/s.svg").getroot().tag.endswith("svg")
    text = (here / "out/r.yaml").read_text()
    assert text.startswith(
        "# 0.7 of 380 weights in 2 parameters: 266 zeros, chosen by prunus sensitivity (fidelity, max)"
    )
    model = named_code.model("sens_code:model")
    for _ in CompressionScheduler(model, recipes.load(here / "out/r.yaml")).epochs(2):
        pass
    assert count(model).zeros == 266


def test_another_metric_that_falls_gives_the_same_recipe(here: Path) -> None:
    asked = ["--levels", "0.5,0.9", "--sparsity", "0.7", "--recipe"]
    assert call(*asked, "one.yaml").exit_code == 0
    assert call(*asked, "two.yaml", "--by", "gap", "--mode", "min").exit_code == 0
    one, two = (recipes.load(here / name) for name in ("one.yaml", "two.yaml"))
    assert one == two


def test_it_goes_on_only_when_told_and_a_model_object_will_do(here: Path) -> None:
    assert call("--levels", "0.5", "-o", "s.csv").exit_code == 0
    assert "s.csv exists: pass resume=True" in fault("--levels", "0.5", "-o", "s.csv")
    assert call("--levels", "0.5,0.9", "-o", "s.csv", "--resume", model="sens_code:MODEL").exit_code == 0
    assert "its seed is 0, now it is 1" in fault("--levels", "0.5", "-o", "s.csv", "--resume", "--seed", "1")
    assert (here / "s.csv").read_text().count("\n") == 2 + 4


def test_workers_find_the_code_of_the_present_folder(here: Path) -> None:
    assert call("--levels", "0.5,0.9", "-o", "one.csv").exit_code == 0
    found = call("--levels", "0.5,0.9", "-o", "two.csv", "--workers", "1")
    assert found.exit_code == 0, found.output
    assert (here / "one.csv").read_text() == (here / "two.csv").read_text()


FAULTS: dict[str, tuple[list[str], dict[str, str], str]] = {
    "module": ([], {"model": "sens_cod:model"}, "--model sens_cod:model: no module is named 'sens_cod'"),
    "factory": ([], {"model": "sens_code:modle"}, "sens_code has no 'modle'. Did you mean 'model'"),
    "no colon": ([], {"model": "sens_code.model"}, "expected module:name"),
    "arguments": ([], {"model": "sens_code:needy"}, "was called without arguments.*'path'"),
    "no model": ([], {"model": "sens_code:dir"}, "has no 'dir'"),
    "number": ([], {"model": "sens_code:NUMBER"}, "is 3, which cannot be called"),
    "tensor": ([], {"model": "torch:initial_seed"}, "expected a torch.nn.Module"),
    "metric": ([], {"metric": "sens_code:metrics"}, "Did you mean 'metric'"),
    "no function": ([], {"metric": "sens_code:TARGET"}, "cannot be called"),
    "structure": (["--structure", "blok"], {}, "--structure is 'blok', which is unknown. Did you mean 'block'"),
    "setting": (["--structure", "block:row=2"], {}, "does not take 'row'. Did you mean 'rows'"),
    "value": (["--structure", "block:rows=two"], {}, "rows is 'two'"),
    "criterion": (["--criterion", "magnitud"], {}, "Did you mean 'magnitude'"),
    "levels": (["--levels", "0.5;0.9"], {}, "--levels is '0.5;0.9', expected numbers with commas"),
    "percent": (["--levels", "50,90"], {}, r"levels is \(50.0, 90.0\), expected different sparsities"),
    "target": (["--include", "1.wieght"], {}, "Did you mean '1.weight'"),
    "type": (["--type", "Conv2d"], {}, "type 'Conv2d' is no layer of this model"),
    "by": (["--levels", "0.5", "--by", "fidelty"], {}, "Did you mean 'fidelity'"),
    "mode": (["--mode", "maximum"], {}, "--mode is 'maximum', which is unknown. Did you mean 'max'"),
    "half a wish": (["--recipe", "r.yaml"], {}, "--recipe and --sparsity go together"),
    "out of reach": (
        ["--levels", "0.5", "--recipe", "r.yaml", "--sparsity", "0.9"],
        {},
        r"levels that were measured reach 0\.5000",
    ),
}


@pytest.mark.parametrize("case", FAULTS)
def test_mistakes_are_named_with_what_to_try(case: str, here: Path) -> None:
    arguments, code, message = FAULTS[case]
    said = fault(*arguments, **code)
    assert re.search(message, said), said
    assert not (here / "r.yaml").exists()


def test_what_cannot_be_written_is_said_before_the_model_is_judged(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for arguments in (["--plot", "p.gif"], ["--recipe", "r.yaml", "--sparsity", "1.5"]):
        assert fault(*arguments, "--output", "r.csv").startswith(
            ("the suffix of --plot is '.gif'", "--sparsity is 1.5")
        )
    monkeypatch.setattr("prunus.cli.extras.find_spec", lambda package: None)
    assert "needs matplotlib: pip install 'prunus[report]'" in fault("--plot", "p.png", "--output", "r.csv")
    assert not (here / "r.csv").exists()


def test_members_are_written_with_their_settings() -> None:
    assert named_code.member("block:rows=2,cols=8", STRUCTURES, "--structure") == Block(2, 8)
    assert named_code.member("magnitude:p=inf,average=true", CRITERIA, "--criterion") == Magnitude(float("inf"), True)
    with pytest.raises(SettingError, match="expected a whole number"):
        named_code.member("block:rows=2.5", STRUCTURES, "--structure")
