"""What the comparison on Fashion-MNIST does around its runs: settings, strengths, results that survive a kill."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from benchmarks import _training, comparison
from benchmarks._methods import METHODS, Method
from benchmarks.comparison import TRIED_SEEDS, Job, Row

TRIED = TRIED_SEEDS[0]


def row(method: str, settings: dict[str, float], held: float, sparsity: float = 98.0, seed: int = TRIED) -> Row:
    return {
        **Job(method, 0.98, seed, settings)._asdict(),
        "held": held,
        "sparsity": sparsity,
        "test": held + 1.0,
    }


def test_points_are_joined_by_lines_that_go_on() -> None:
    points = [(0.0, 1.0), (1.0, 3.0), (2.0, 3.0)]
    assert [comparison.at(x, points) for x in (-1.0, 0.5, 1.0, 1.5, 9.0)] == [-1.0, 2.0, 3.0, 3.0, 3.0]


def test_the_settings_with_the_best_held_out_accuracy_are_chosen_and_the_test_part_has_no_say() -> None:
    rows = [row("dense", {"lr": 0.001}, 88.0), row("dense", {"lr": 0.003}, 89.0), row("dense", {"lr": 0.01}, 87.0)]
    rows[0]["test"] = 99.0
    rows.append(row("dense", {"lr": 0.01}, 95.0, seed=0))
    assert comparison.settings_of("dense", METHODS["dense"], 0.98, rows) == {"lr": 0.003}
    assert comparison.settings_of("rigl", METHODS["rigl"], 0.98, rows) is None


def test_a_strength_is_interpolated_between_the_densities_it_gave() -> None:
    method = Method("", METHODS["dense"].build, {"lr": (0.1, 0.2), "threshold": (0.01, 0.1)}, "threshold")
    tried = [(0.1, 0.01, 80.0, 90.0), (0.1, 0.1, 84.0, 99.0), (0.2, 0.01, 60.0, 90.0), (0.2, 0.1, 60.0, 99.0)]
    rows = [row("own", {"lr": lr, "threshold": t}, held, sparsity) for lr, t, held, sparsity in tried]
    middle = 1 - math.sqrt(0.1 * 0.01)  # half way between 90 and 99 % in the logarithm of the density
    chosen = comparison.settings_of("own", method, middle, rows)
    assert chosen == {"lr": 0.1, "threshold": pytest.approx(math.sqrt(0.01 * 0.1), abs=1e-5)}


def test_a_strength_that_left_nothing_or_everything_says_nothing() -> None:
    method = Method("", METHODS["dense"].build, {"threshold": (0.01, 0.1)}, "threshold")
    rows = [row("own", {"threshold": 0.01}, 80.0, 0.0), row("own", {"threshold": 0.1}, 10.0, 100.0)]
    assert comparison.settings_of("own", method, 0.9, rows) is None


def test_what_has_run_is_not_run_again() -> None:
    rows = [row("rigl", {"lr": 0.001, "every": 50}, 80.0)]
    assert Job("rigl", 0.98, TRIED, {"every": 50, "lr": 0.001}).done(rows)
    assert not Job("rigl", 0.98, 0, {"every": 50, "lr": 0.001}).done(rows)


def test_every_seed_is_finished_before_the_next_and_extras_come_last() -> None:
    rows = [row(name, settings, 80.0) for name in ("rigl", "one_shot") for settings in METHODS[name].candidates()]
    jobs = comparison.finals(METHODS, rows)
    assert len(jobs) == 2 * len(comparison.SPARSITIES) * len(comparison.SEEDS)
    assert [job.seed for job in jobs[:7]] == [0] * 6 + [1]
    assert {job.method for job in jobs[30:]} == {"one_shot"}


def test_a_line_that_a_kill_cut_short_is_left_out(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "results.jsonl"
    assert _training.read(file) == []
    _training.append(file, {"held": 80.5})
    with file.open("a") as text:
        text.write('{"held": 8')
    assert _training.read(file) == [{"held": 80.5}]


def test_a_cell_says_what_is_missing_and_what_was_missed() -> None:
    found = [row("rigl", {}, 80.0, seed=seed) for seed in range(5)]
    assert comparison.cell(found, 0.98) == "81.00 ± 0.00"
    assert comparison.cell(found[:2], 0.9) == "81.00 ± 0.00 (n=2) at 98.00 %"
    assert comparison.cell([], 0.9) == "–"


def test_images_are_mirrored_and_moved_over_the_background() -> None:
    image = torch.zeros(64, 1, 4, 4)
    image[:, 0, 1, 1] = 1.0
    torch.manual_seed(0)
    moved = _training.moved(image, flip=True, shift=1)
    assert moved.shape == image.shape
    assert bool((moved.sum(dim=(1, 2, 3)) == 1.0).all())
    assert len({int(single.flatten().argmax()) for single in moved}) > 6
    assert _training.moved(image, flip=False, shift=0) is image


def test_the_recipes_are_what_was_measured(tmp_path: Path) -> None:
    comparison.write_recipes(_training.read(comparison.FILE), tmp_path)
    written = sorted(tmp_path.iterdir())
    assert len(written) == sum(bool(method.does) for method in METHODS.values())
    for path in written:
        assert path.read_text(encoding="utf-8") == (comparison.RECIPES / path.name).read_text(encoding="utf-8")
