from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from prunus.actions import Prune, Steer
from prunus.checkpoints import load_run, read, rng, save_run, write
from prunus.errors import CheckpointError
from prunus.integrations.loop import ResumableLoader
from prunus.optim import AdaBreg, LinBreg
from prunus.regularizers import RegL1
from prunus.scheduler import CompressionScheduler
from prunus.schedules import Linear
from prunus.steering import LambdaScheduler


def parts(seed: int = 0, width: int = 6, dtype: torch.dtype = torch.float32) -> dict[str, Any]:
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(4, width), nn.BatchNorm1d(width), nn.Linear(width, 2)).to(dtype)
    optimizer = AdaBreg(model.parameters(), lr=1e-2, reg=RegL1(0.1))
    steer = Steer(LambdaScheduler(initial_lambda=0.1, target_sparsity=0.5))
    policies = [Prune(Linear(0.5)), steer]
    scheduler = CompressionScheduler(model, policies, optimizer=optimizer, steps_per_epoch=5, epochs=2)
    loader = ResumableLoader(torch.randn(10, 4, dtype=dtype), batch_size=2)
    return {"model": model, "optimizer": optimizer, "scheduler": scheduler, "loader": loader}


def train(run: dict[str, Any], steps: int) -> None:
    for (x,), _ in zip(run["loader"], range(steps), strict=False):
        run["scheduler"].loss(run["model"](x).square().mean()).backward()
        run["optimizer"].step()
        run["optimizer"].zero_grad()


def states(run: dict[str, Any]) -> dict[str, Any]:
    return copy.deepcopy({name: part.state_dict() for name, part in run.items()} | {"rng": rng.capture()})


def same(one: Any, other: Any) -> bool:
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(torch.equal(one, other)) if isinstance(one, Tensor) else bool(one == other)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_run_comes_back_bit_for_bit(dtype: torch.dtype, tmp_path: Path) -> None:
    run, again = parts(dtype=dtype), parts(seed=1, dtype=dtype)
    again["loader"] = run["loader"]
    train(run, 3)
    save_run(tmp_path / "run", **run, extra={"note": [1, "two"]})
    expected = states(run)
    train(again, 2)
    assert not same(states(again)["model"], expected["model"])
    assert load_run(tmp_path / "run", **again) == {"note": [1, "two"]}
    assert same(states(again), expected)
    assert torch.load(tmp_path / "run", weights_only=True)["format"] == "prunus run"


def test_weights_alone_can_be_loaded_from_a_whole_run(tmp_path: Path) -> None:
    run, model = parts(), parts(seed=1)["model"]
    save_run(tmp_path / "run", **run)
    load_run(tmp_path / "run", model=model)
    assert same(model.state_dict(), run["model"].state_dict())


def test_a_model_of_another_class_with_the_same_weights_is_welcome(tmp_path: Path) -> None:
    class Wrapped(nn.Linear):
        pass

    model, wrapped = nn.Linear(2, 1), Wrapped(2, 1)
    save_run(tmp_path / "run", model=model)
    load_run(tmp_path / "run", model=wrapped)
    assert same(dict(wrapped.state_dict()), dict(model.state_dict()))


def refused(path: Path, run: dict[str, Any], message: str) -> None:
    """Loading must fail with the message and leave every part and the random state as they were."""
    before = states(run)
    with pytest.raises(CheckpointError, match=message):
        load_run(path, **run)
    assert same(states(run), before)


def test_the_checkpoint_of_another_model_lists_every_misfit(tmp_path: Path) -> None:
    save_run(tmp_path / "run", **parts(width=7))
    refused(tmp_path / "run", parts(), r"(?s)run is the checkpoint of another model:.*'0\.weight' has shape \(7, 4\)")
    save_run(tmp_path / "half", model=parts()["model"].to(torch.bfloat16))
    refused(
        tmp_path / "half", {"model": parts()["model"]}, r"'0\.weight' is torch\.bfloat16 in the file, torch\.float32"
    )
    save_run(tmp_path / "named", model=nn.ModuleDict({"first": nn.Linear(2, 2), "second": nn.Linear(2, 2)}))
    other = nn.ModuleDict({"first": nn.Linear(2, 2), "secnd": nn.Linear(2, 2)})
    nearest = (
        r"(?s)'secnd\.weight' is missing from the file\. Did you mean 'second\.weight'\?.*'second\.bias' of the file"
    )
    refused(tmp_path / "named", {"model": other}, nearest)


def test_many_misfits_are_cut_short(tmp_path: Path) -> None:
    save_run(tmp_path / "run", model=nn.Sequential(*[nn.Linear(1, 1) for _ in range(20)]))
    refused(tmp_path / "run", {"model": nn.Sequential(nn.Linear(1, 1))}, "and 26 more")


def test_another_optimizer_is_refused(tmp_path: Path) -> None:
    run = parts()
    train(run, 1)
    save_run(tmp_path / "run", model=run["model"], optimizer=run["optimizer"])
    model = run["model"]
    other = LinBreg(model.parameters(), reg=RegL1())
    refused(tmp_path / "run", {"model": model, "optimizer": other}, "optimizer was a AdaBreg, this one is a LinBreg")
    fewer = AdaBreg(list(model.parameters())[:2], reg=RegL1())
    refused(tmp_path / "run", {"model": model, "optimizer": fewer}, "group 0 holds 6 parameters in the file, 2 in the")
    turned = AdaBreg(list(model.parameters())[::-1], reg=RegL1())
    refused(tmp_path / "run", {"model": model, "optimizer": turned}, r"parameter 0 of group 0 has shape \(6, 4\)")
    grouped = AdaBreg([{"params": [p], "reg": RegL1()} for p in model.parameters()])
    refused(tmp_path / "run", {"model": model, "optimizer": grouped}, "holds 1 parameter groups, the optimizer 6")


def test_a_part_that_was_not_saved_cannot_be_restored(tmp_path: Path) -> None:
    save_run(tmp_path / "run", model=parts()["model"])
    refused(tmp_path / "run", parts(), "(?s)it holds no optimizer; load without it.*it holds no loader")


def test_a_part_that_refuses_its_state_brings_the_others_back(tmp_path: Path) -> None:
    run = parts()
    train(run, 2)
    save_run(tmp_path / "run", **run)
    fresh = parts(seed=1)
    fresh["loader"] = ResumableLoader(torch.randn(10, 4), batch_size=3)
    refused(tmp_path / "run", fresh, "nothing was changed: .*batch_size was 2, is 3")
    fresh = parts(seed=1)
    fresh["scheduler"] = CompressionScheduler(fresh["model"], [Prune(Linear(0.5))], epochs=2)
    refused(tmp_path / "run", fresh, "nothing was changed: .*policies")


@pytest.mark.parametrize("lost", ["extra", "kinds", "model", "optimizer", "prunus", "rng", "shapes", "version"])
def test_a_run_that_has_lost_a_part_says_which(lost: str, tmp_path: Path) -> None:
    run = parts()
    save_run(tmp_path / "run.ckpt", **run)
    state = read(tmp_path / "run.ckpt")
    del state[lost]
    write(tmp_path / "run.ckpt", state)
    before = states(run)
    with pytest.raises(CheckpointError, match=f"run.ckpt is damaged: it has lost {lost}"):
        load_run(tmp_path / "run.ckpt", **run)
    assert same(before, states(run))


def test_other_files_and_newer_versions_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "weights", dict(nn.Linear(1, 1).state_dict()))
    refused(tmp_path / "weights", {"model": nn.Linear(1, 1)}, "is not a run of save_run: it holds 'weight', 'bias'")
    save_run(tmp_path / "run", model=nn.Linear(1, 1))
    write(tmp_path / "run", read(tmp_path / "run") | {"version": 2})
    refused(tmp_path / "run", {"model": nn.Linear(1, 1)}, "written by a newer version: format 2.*Upgrade prunus")
