"""CONTRIBUTING's ten minutes, followed to the letter in a copy of the repository."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_docs import ROOT, blocks

EDITS = {
    "src/prunus/regularizers/__init__.py": {
        "from prunus.regularizers.group_lasso": "from prunus.regularizers.elastic import RegElastic\n",
        '    "group_lasso":': '    "elastic": RegElastic,\n',
        '    "RegL1",': '    "RegElastic",\n',
    },
    "tests/twins/regularizers.py": {'"l1": "element"': '"elastic": "element", '},
}
"""What steps 2 and 3 say to write, by the text that it goes before."""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The repository after the steps of the page."""
    for folder in ("src", "tests"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    member = tmp_path / "src/prunus/regularizers/elastic.py"
    member.write_text(blocks((ROOT / "CONTRIBUTING.md").read_text("utf-8"))[0][2], "utf-8")
    for name, places in EDITS.items():
        text = (tmp_path / name).read_text("utf-8")
        for place, new in places.items():
            assert text.count(place) == 1, f"{name}: {place}"
            text = text.replace(place, new + place)
        (tmp_path / name).write_text(text, "utf-8")
    return tmp_path


def test_a_regularizer_is_added_by_the_steps_of_the_page(copy: Path) -> None:
    """The new member keeps the laws, and its file, the registry and the recipes agree."""
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", "-o", "pythonpath=. src"]
    command += ["tests/laws/test_regularizers.py", "tests/test_exports.py", "src/prunus/regularizers/elastic.py"]
    only = "RegElastic and (test_value or test_tensors) or registry or (member and regularizers) or elastic"
    done = subprocess.run([*command, "-k", only], cwd=copy, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert "passed" in done.stdout
    recipe = "version: 1\npolicies:\n- regularize: {regularizer: {elastic: {ridge: 2}}}\n"
    code = f"import prunus.recipes as r; print(r.load({recipe!r}), 'ridge' in str(r.json_schema()))"
    said = subprocess.run([sys.executable, "-c", code], cwd=copy / "src", capture_output=True, text=True, check=True)
    assert "RegElastic(lamda=1.0, ridge=2.0)" in said.stdout and said.stdout.endswith("True\n")
