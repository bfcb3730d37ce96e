"""What `import prunus` costs, and what it survives. Each check runs in a fresh interpreter."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ["hydra", "hypothesis", "jinja2", "lightning", "matplotlib", "mlxtend", "onnx", "pandas", "pydantic"]
HEAVY += ["pytorch_lightning", "rich", "sklearn", "tokenizers", "torchao", "torchaudio", "torchmetrics"]
HEAVY += ["torchvision", "transformers", "typer", "yaml"]
NMS = "operator torchvision::nms does not exist"
# Asks for torchvision the way that Lightning and torchmetrics do.
ASK = "from lightning_utilities.core.imports import RequirementCache; print(bool(RequirementCache('torchvision')))"


def python(code: str, *path: Path) -> subprocess.CompletedProcess[str]:
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(map(str, path)), OMP_NUM_THREADS="1")
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=300)


def heavy_after(statement: str, heavy: list[str] = HEAVY) -> list[str]:
    ran = python(f"import sys\n{statement}\nprint(*(set(sys.modules) & set({heavy!r})))")
    assert ran.returncode == 0, ran.stderr
    return sorted(ran.stdout.split())


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """Return a folder with an installed torchvision that fails half way, as one built for another torch does."""
    package, metadata = tmp_path / "torchvision", tmp_path / "torchvision-0.28.0.dist-info"
    package.mkdir()
    metadata.mkdir()
    (package / "extension.py").write_text("")
    (package / "__init__.py").write_text(f"from torchvision import extension\nraise RuntimeError({NMS!r})\n")
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: torchvision\nVersion: 0.28.0\n")
    return tmp_path


@pytest.fixture
def unregistered(broken: Path) -> Path:
    """Return the broken torchvision without its metadata, as a source checkout on the path is."""
    (broken / "torchvision-0.28.0.dist-info" / "METADATA").unlink()
    (broken / "torchvision-0.28.0.dist-info").rmdir()
    return broken


def test_prunus_loads_torch_and_nothing_else_heavy() -> None:
    assert heavy_after("import prunus") == []


@pytest.mark.parametrize("module", ["rich", "pydantic"])
def test_the_check_notices_a_heavy_import(module: str) -> None:
    assert module in heavy_after(f"import prunus, {module}")


def test_prunus_survives_a_broken_torchvision(broken: Path) -> None:
    ran = python("import prunus", broken)
    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize("kind", ["broken", "unregistered"])
def test_torchmetrics_fails_without_the_guard(kind: str, request: pytest.FixtureRequest) -> None:
    """The reason for the guard; when this fails, the guard may go."""
    ran = python("import torchmetrics", request.getfixturevalue(kind))
    assert ran.returncode != 0
    assert NMS in ran.stderr


@pytest.mark.parametrize("kind", ["broken", "unregistered"])
def test_lightning_and_torchmetrics_load_behind_the_guard(kind: str, request: pytest.FixtureRequest) -> None:
    guarded = "from prunus.integrations._torchvision import guard_torchvision as g; assert g() and g();"
    ran = python(f"{guarded} import lightning, torchmetrics; {ASK}", request.getfixturevalue(kind))
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.split() == ["False"]
    assert ran.stderr.count("treated as not installed") == 1


@pytest.mark.parametrize("kind", ["broken", "unregistered"])
def test_the_lightning_integration_survives_a_broken_torchvision(kind: str, request: pytest.FixtureRequest) -> None:
    ran = python("from prunus.integrations.lightning import Compression", request.getfixturevalue(kind))
    assert ran.returncode == 0, ran.stderr


def test_the_guard_leaves_a_working_torchvision_alone(broken: Path) -> None:
    (broken / "torchvision" / "__init__.py").write_text("works = True\n")
    code = f"import prunus.integrations._torchvision as t; print(t.guard_torchvision()); import torchvision; {ASK}"
    ran = python(code, broken)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.split() == ["False", "True"]


def test_an_absent_torchvision_is_no_reason_to_warn() -> None:
    ran = python("from prunus.integrations._torchvision import guard_torchvision; print(guard_torchvision())")
    assert (ran.stdout.split(), ran.stderr) == (["False"], "")
