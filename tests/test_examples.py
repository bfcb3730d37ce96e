"""Every example runs to its end, shortened, and says what it reached."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parent.parent / "examples").glob("*.py"))


def load(path: Path):
    spec = importlib.util.spec_from_file_location(f"example_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_there_are_examples():
    assert len(EXAMPLES) >= 1


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_example_runs(path, capsys):
    accuracy, count = load(path).main(epochs=2)
    assert accuracy > 0.5 and count.sparsity == pytest.approx(0.95, abs=1e-4)
    assert str(count) in capsys.readouterr().out
