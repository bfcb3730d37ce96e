"""The demonstration's runs: what differs between them is the method and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from prunus import measure
from prunus.actions import Prune, SetLR, Steer
from prunus.checkpoints import load_sparse
from prunus.errors import SettingError
from prunus.optim import AdaBreg
from prunus.regularizers import RegL1, RegNone
from prunus.steering import LambdaScheduler, SparsityBudget
from prunus.tasks.demo import RUNS, Run, epochs_for, perform, perform_all, recipe
from prunus.tasks.demo.records import SPAN, histogram
from prunus.tasks.vision import ImageSet, build


@pytest.fixture(scope="module")
def noise() -> ImageSet:
    generator = torch.Generator().manual_seed(0)
    images, labels = torch.rand(128, 1, 28, 28, generator=generator), torch.arange(128) % 10
    return ImageSet("noise", "made by hand.", images, labels, images[:10], labels[:10])


def test_the_runs_are_dense_and_three_methods_at_two_sparsities() -> None:
    assert [(run.method, run.asked) for run in RUNS] == [
        ("dense", None),
        *((method, asked) for asked in (0.9, 0.98) for method in ("magnitude", "feedback", "budget")),
    ]
    assert len({run.title for run in RUNS}) == len({run.key for run in RUNS}) == 7


def test_every_recipe_decays_the_rate_and_adds_its_method() -> None:
    model, found = build("lenet5"), {}
    for run in RUNS[:4]:
        optimizer, policies = recipe(run, model, steps=100)
        assert isinstance(policies[0].action, SetLR)
        found[run.method] = type(optimizer), [type(policy.action) for policy in policies[1:]]
    assert found == {
        "dense": (torch.optim.Adam, []),
        "magnitude": (torch.optim.Adam, [Prune]),
        "feedback": (AdaBreg, [Steer, Prune]),
        "budget": (AdaBreg, [Steer]),
    }


def test_bregman_runs_regularize_weights_and_leave_biases_alone() -> None:
    model = build("lenet5")
    for method, steering in (("feedback", LambdaScheduler), ("budget", SparsityBudget)):
        optimizer, policies = recipe(Run(method, method, 0.9), model, steps=100)
        weights, biases = optimizer.param_groups
        assert isinstance(weights["reg"], RegL1) and isinstance(biases["reg"], RegNone)
        assert all(weight.dim() > 1 for weight in weights["params"]) and len(biases["params"]) == 4
        assert isinstance(policies[1].action.steering, steering)


@pytest.mark.parametrize("method", ["magnitude", "budget"])
def test_a_record_holds_what_the_written_checkpoint_holds(method: str, noise: ImageSet, tmp_path: Path) -> None:
    record = perform(Run(method, method, 0.9), noise, tmp_path, epochs=2)
    path = tmp_path / f"{method}-90.ckpt"
    assert record.size == path.stat().st_size
    assert str(record.count) == "90.00 % (43,050 of 430,500 left)"
    weights = [weight for weight in load_sparse(path).values() if weight.dim() > 1]
    assert measure.count(weights) == record.count
    assert sum(row.count.zeros for row in record.layers) == record.count.zeros
    assert record.histogram is not None and sum(record.histogram.after) == record.count.kept
    assert sum(record.histogram.before) == record.count.total


def test_all_runs_are_made_in_order_and_watched(
    noise: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prunus.tasks.demo.records.RUNS", RUNS[:2])
    seen: list[str] = []
    records = list(perform_all(noise, tmp_path / "new", epochs=1, watch=lambda run, point: seen.append(run.key)))
    assert [record.name for record in records] == ["dense", "magnitude, 90 %"]
    assert seen == ["dense", "magnitude-90"]


def test_epochs_follow_from_the_number_of_images() -> None:
    assert [epochs_for(count) for count in (64, 4000, 10_000, 10**6)] == [1100, 17, 7, 1]


def test_no_epochs_are_refused(noise: ImageSet, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="epochs is 0"):
        next(perform_all(noise, tmp_path, epochs=0))


def test_weights_beyond_the_histogram_are_counted_in_its_last_bins() -> None:
    drawn = histogram(torch.tensor([-9.0, SPAN, 0.0]), torch.tensor([9.0, 0.0, 0.0]))
    assert (drawn.before[0], drawn.before[-1], drawn.after[-1]) == (1, 1, 1)
    assert sum(drawn.before) == 2 and sum(drawn.after) == 1
