"""The layers of pyproject.toml hold, and the check that says so can fail."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LINT = (
    "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True, is_debug_mode=False))"
)


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run lint-imports in ``folder``, which must not be shadowed by the installed package."""
    code = f"import sys; sys.path.insert(0, 'src'); {LINT}"
    return subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, timeout=300)


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """Return a small copy of the house: the real contracts over a package of three empty modules."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    package = tmp_path / "src" / "prunus"
    package.mkdir(parents=True)
    for name in ("__init__", "errors", "keep", "scheduler"):
        (package / f"{name}.py").write_text("")
    return tmp_path


def test_the_layers_hold() -> None:
    ran = lint(ROOT)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_an_empty_house_holds(house: Path) -> None:
    ran = lint(house)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize(
    ("file", "line", "said"),
    [
        ("keep.py", "import prunus.scheduler", "prunus.keep -> prunus.scheduler"),
        ("errors.py", "def late():\n    from prunus import scheduler\n", "prunus.errors -> prunus.scheduler"),
        ("utils.py", "", "utils"),
        ("scheduler.py", "import torchvision", "torchvision"),
    ],
    ids=["upward", "upward inside a function", "module without a layer", "torchvision"],
)
def test_the_check_can_fail(house: Path, file: str, line: str, said: str) -> None:
    (house / "src" / "prunus" / file).write_text(line)
    ran = lint(house)
    assert ran.returncode != 0
    assert said in ran.stdout
