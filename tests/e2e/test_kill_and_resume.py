"""Kill −9 in the middle of an epoch and resume: everything equals a run that was never killed."""

from __future__ import annotations

import multiprocessing
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from prunus.checkpoints import read
from tests.e2e import hf_runs, runs
from tests.e2e.comparing import differences

EVERY, KILLED_AT = (
    5,
    19,
)  # dies inside epoch 2 (7 steps an epoch), four steps after the checkpoint inside the same epoch

FRONTS = {
    "plain": (runs.plain, ["run.ckpt"]),
    "lightning": (runs.lightning, ["run.ckpt"]),
    "transformers": (hf_runs.transformers, ["checkpoint-10", "checkpoint-15", "checkpoint-5"]),
}
"""Each with what it has left behind when it is killed."""


@pytest.fixture(scope="module")
def processes() -> Any:
    """Every run is a process of its own, forked from one that has imported everything and done nothing."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.e2e.hf_runs"])
    return context


def run(processes: Any, front: str, recipe: str, folder: Path, out: Path, kill_at: int | None) -> int:
    process = processes.Process(target=FRONTS[front][0], args=(recipe, folder, out, EVERY, kill_at))
    process.start()
    process.join()
    return int(process.exitcode)


@pytest.mark.parametrize("recipe", runs.RECIPES)
@pytest.mark.parametrize("front", FRONTS)
def test_killed_and_resumed_equals_never_killed(front: str, recipe: str, processes: Any, tmp_path: Path) -> None:
    for folder in ("whole", "killed"):
        (tmp_path / folder).mkdir()
    assert run(processes, front, recipe, tmp_path / "whole", tmp_path / "expected", None) == 0
    assert run(processes, front, recipe, tmp_path / "killed", tmp_path / "found", KILLED_AT) == -signal.SIGKILL
    assert not (tmp_path / "found").exists()
    assert sorted(os.listdir(tmp_path / "killed")) == FRONTS[front][1]
    assert run(processes, front, recipe, tmp_path / "killed", tmp_path / "found", None) == 0
    expected, found = read(tmp_path / "expected"), read(tmp_path / "found")
    assert list(differences(expected, found)) == []
    assert (expected["scheduler"]["place"][:2], len(expected["scheduler"]["history"])) == ([4, 28], 4)


def test_all_front_doors_train_the_same(processes: Any, tmp_path: Path) -> None:
    """All but the figures that the loops themselves report."""
    for front in FRONTS:
        (tmp_path / front).mkdir()
        assert run(processes, front, "adam_prune_steps", tmp_path / front, tmp_path / f"{front}.out", None) == 0
    plain, *others = (trained(read(tmp_path / f"{front}.out")) for front in FRONTS)
    assert [list(differences(plain, other)) for other in others] == [[], []]


def trained(state: dict[str, Any]) -> dict[str, Any]:
    weights, moments = list(state["model"].values()), state["optimizer"]["state"]
    return {"weights": weights, "moments": moments, "masks": list(state["masks"].values()), "random": state["random"]}
