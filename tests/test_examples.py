"""Every example runs to its end, shortened, and reaches what it says."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from prunus.tasks import vision

EXAMPLES = {path.stem: path for path in (Path(__file__).parent.parent / "examples").glob("*.py")}


def load(name: str):
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES[name])
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def plain_loop(example, folder):
    accuracy, count = example.main(epochs=2)
    assert accuracy > 0.5 and count.sparsity == pytest.approx(0.95, abs=1e-4)


def iterative_pruning(example, folder):
    pruner = example.run("lr", folder / "run.ckpt", vision.load().take(320, 100), cycles=1)
    assert pruner.history[-1]["avg_sparsity"] == pytest.approx(0.98, abs=1e-4)


def bregman_pruner_usage(example, folder):
    found = example.main(epochs=2, data=vision.load().take(640, 200))
    assert found["penalty"][1].sparsity == pytest.approx(0.8, abs=1e-4) and found["penalty"][0] > 0.5
    assert 0.5 < found["proximal"][1].sparsity < 1.0


def one_recipe(example, folder):
    found = example.main(epochs=2, data=vision.load().take(640, 200))
    assert len(found) == 3 and set(found.values()) == {0.9}


def test_every_example_has_a_check():
    assert set(EXAMPLES) == {"bregman_pruner_usage", "iterative_pruning", "one_recipe", "plain_loop"}


@pytest.mark.filterwarnings("ignore:steering ended at:prunus.errors.NoEffect")  # the shortened one
@pytest.mark.parametrize("check", [bregman_pruner_usage, iterative_pruning, one_recipe, plain_loop])
def test_the_example_runs(check, tmp_path, capsys):
    check(load(check.__name__), tmp_path)
    assert "accuracy" in capsys.readouterr().out
