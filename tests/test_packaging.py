"""What is packed: a source package from which the tests run."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip("tomli")

ROOT = Path(__file__).parents[1]


def test_the_source_package_holds_every_folder() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    git = shutil.which("git")
    found = subprocess.run([git, "ls-files"], cwd=ROOT, capture_output=True, text=True) if git else None
    if found is None or found.returncode:
        pytest.skip("no git checkout, or no git")
    folders = {name.split("/")[0] for name in found.stdout.splitlines() if "/" in name}
    assert folders <= set(settings["tool"]["hatch"]["build"]["targets"]["sdist"]["include"])
