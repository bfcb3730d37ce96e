"""Fusing files: formats, sizes, optimizers, and what is left when something fails."""

from __future__ import annotations

import copy
import os
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils import prune

from prunus.actions import Prune
from prunus.checkpoints import (
    FuseSettings,
    analyze,
    contents,
    make_permanent,
    permanent_path,
    read,
    save_run,
    save_sparse,
)
from prunus.checkpoints.formats import Content, read_file, write_file
from prunus.errors import CheckpointError, MissingExtraError
from prunus.measure import Count
from prunus.scheduler import CompressionScheduler
from prunus.schedules import OneShot
from tests.models import Tied, mlp, normed

X = torch.randn(4, 8, generator=torch.Generator().manual_seed(3))
SAFE, KEEP = "safetensors", FuseSettings(keep_optimizer=True)


def pruned() -> tuple[nn.Sequential, torch.optim.Optimizer]:
    model = mlp()
    for layer in (model[0], model[2]):
        prune.l1_unstructured(layer, "weight", amount=0.75)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.05)
    model(X).square().sum().backward()
    optimizer.step()
    return model, optimizer


@pytest.fixture
def lightning(tmp_path: Path) -> tuple[Path, nn.Sequential, torch.optim.Optimizer]:
    """A checkpoint laid out as Lightning's."""
    model, optimizer = pruned()
    state = {"state_dict": model.state_dict(), "optimizer_states": [optimizer.state_dict()], "lr_schedulers": [{}]}
    torch.save(
        {"epoch": 3, "magnitude_pruner_state": {}, "pytorch-lightning_version": "2.6.6", **state}, tmp_path / "a.ckpt"
    )
    return tmp_path / "a.ckpt", model, optimizer


def test_a_lightning_checkpoint_stays_one_and_shrinks(lightning: Any) -> None:
    path, model, _ = lightning
    whole = path.read_bytes()
    found = make_permanent(path)
    fused, clean = read(path.with_name("a_permanent.ckpt")), mlp()
    clean.load_state_dict(fused["state_dict"])
    assert torch.equal(clean(X), model(X)) and fused["epoch"] == 3
    assert not {"optimizer_states", "lr_schedulers", "magnitude_pruner_state"} & set(fused)
    metadata = fused["permanent_pruning_metadata"]
    assert metadata["made_permanent"] and metadata["original_file"] == "a.ckpt" and metadata["timestamp"]
    assert [layer.name for layer in found.layers] == ["0.weight", "2.weight"]
    assert (found.zeros_before, found.zeros_after) == (Count(0, 212), Count(144, 212))
    assert found.bytes_after == os.path.getsize(path.with_name("a_permanent.ckpt")) < found.bytes_before / 2
    assert found.optimizer == "dropped" and path.read_bytes() == whole
    assert (found.source, found.target) == (path, permanent_path(path))


def test_a_kept_optimizer_continues_in_a_clean_model_by_torch_alone(lightning: Any) -> None:
    path, model, optimizer = lightning
    assert make_permanent(path, settings=KEEP).optimizer == "kept"
    fused, clean = read(permanent_path(path)), mlp()
    clean.load_state_dict(fused["state_dict"])
    again = torch.optim.AdamW(clean.parameters(), lr=0.05)
    again.load_state_dict(fused["optimizer_states"][0])
    masks = {name: model.get_buffer(f"{name}_mask").bool() for name in ("0.weight", "2.weight")}
    for one, other in ((clean, again), (model, optimizer)):
        other.zero_grad()
        one(X).square().sum().backward()
        other.step()
    for name, parameter in clean.named_parameters():
        expected = dict(model.named_parameters())[f"{name}_orig" if name in masks else name]
        kept = masks.get(name, torch.ones_like(parameter, dtype=torch.bool))
        assert torch.equal(parameter[kept], expected[kept])
    assert "lr_schedulers" in fused


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".ckpt", ".safetensors"])
def test_a_plain_state_dict_stays_one_in_every_format(suffix: str, tmp_path: Path) -> None:
    pytest.importorskip(SAFE)
    model, _ = pruned()
    path = tmp_path / f"a{suffix}"
    write_file(path, Content(dict(model.state_dict()), {"made by": "a test"} if suffix == ".safetensors" else {}))
    make_permanent(path)
    found, clean = read_file(tmp_path / f"a_permanent{suffix}"), mlp()
    clean.load_state_dict(found.checkpoint)
    assert torch.equal(clean(X), model(X))
    assert found.header == ({"made by": "a test"} if suffix == ".safetensors" else {})


def test_from_one_format_into_the_other(lightning: Any, tmp_path: Path) -> None:
    pytest.importorskip(SAFE)
    path, model, _ = lightning
    with pytest.raises(CheckpointError, match="would have to hold 'epoch'.*tensors only"):
        make_permanent(path, tmp_path / "b.safetensors")
    torch.save(model.state_dict(), tmp_path / "weights.pt")
    make_permanent(tmp_path / "weights.pt", tmp_path / "b.safetensors")
    assert {entry.name for entry in contents(tmp_path / "b.safetensors")} == set(mlp().state_dict())


def test_entries_that_only_look_pruned_can_be_ignored(tmp_path: Path) -> None:
    model, _ = pruned()
    state = {**model.state_dict(), "causal_mask": torch.ones(3, 3), "0.weight_orig": model[0].weight_orig.detach()}
    torch.save(state, tmp_path / "a.pt")
    settings = FuseSettings(ignore=("causal_*",))
    for look in (analyze, make_permanent):
        with pytest.raises(CheckpointError, match="'causal_mask' has no 'causal_orig'"):
            look(tmp_path / "a.pt")
        found = look(tmp_path / "a.pt", settings=settings)
        assert (len(found.layers), found.optimizer) == (2, "none")
    assert torch.equal(read(tmp_path / "a_permanent.pt")["causal_mask"], torch.ones(3, 3))


def test_tied_weights_go_through_safetensors(tmp_path: Path) -> None:
    pytest.importorskip(SAFE)
    weight = Tied().embed.weight
    write_file(tmp_path / "a.safetensors", Content({"embed": weight, "head": weight, "also": weight}))
    loaded = read_file(tmp_path / "a.safetensors").checkpoint
    assert all(torch.equal(loaded[name], weight) for name in ("embed", "head", "also"))


def test_analysis_measures_and_writes_nothing(lightning: Any) -> None:
    path, _, _ = lightning
    found = analyze(path)
    assert os.listdir(path.parent) == ["a.ckpt"] and found.target is None
    made = make_permanent(path)
    assert (found.layers, found.zeros_after, found.bytes_after) == (made.layers, made.zeros_after, made.bytes_after)


def test_a_file_with_nothing_to_fuse_can_be_analysed_only(tmp_path: Path) -> None:
    torch.save(normed().state_dict(), tmp_path / "a.pt")
    assert analyze(tmp_path / "a.pt").layers == ()
    with pytest.raises(CheckpointError, match="nothing to fuse"):
        make_permanent(tmp_path / "a.pt")
    assert os.listdir(tmp_path) == ["a.pt"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("gone.ckpt", "does not exist"),
        ("a.h5", "suffix '.h5'"),
        ("cut.ckpt", "truncated"),
        ("empty.pt", "holds no weights"),
    ],
)
def test_files_that_cannot_be_fused_are_refused(name: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "a.h5").touch()
    (tmp_path / "cut.ckpt").write_bytes(b"PK\x03\x04")
    torch.save({"epoch": 3}, tmp_path / "empty.pt")
    with pytest.raises(CheckpointError, match=said):
        make_permanent(tmp_path / name)


def test_a_failed_write_leaves_the_old_target(lightning: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    path, _, _ = lightning
    permanent_path(path).write_bytes(b"the old one")

    def full(*_: Any) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="no space left"):
        make_permanent(path)
    assert permanent_path(path).read_bytes() == b"the old one" and len(os.listdir(path.parent)) == 2


def test_a_file_that_is_read_with_trust_is_written_with_it(tmp_path: Path) -> None:
    model, _ = pruned()
    torch.save({"state_dict": model.state_dict(), "hyper_parameters": {"layer": nn.Identity()}}, tmp_path / "a.ckpt")
    with pytest.raises(CheckpointError, match="unsafe"):
        make_permanent(tmp_path / "a.ckpt")
    make_permanent(tmp_path / "a.ckpt", settings=FuseSettings(trust=True))
    loaded = read(permanent_path(tmp_path / "a.ckpt"), trust=True)
    assert isinstance(loaded["hyper_parameters"]["layer"], nn.Identity)


def test_without_safetensors_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.safetensors").touch()
    monkeypatch.setitem(sys.modules, "safetensors", None)
    with pytest.raises(MissingExtraError, match=r"pip install prunus\[safetensors\]"):
        analyze(tmp_path / "a.safetensors")
    with pytest.raises(MissingExtraError):
        write_file(tmp_path / "b.safetensors", Content({}))


def test_a_damaged_safetensors_file_is_named(tmp_path: Path) -> None:
    pytest.importorskip(SAFE)
    (tmp_path / "a.safetensors").write_bytes(b"\x00" * 4)
    with pytest.raises(CheckpointError, match="damaged"):
        analyze(tmp_path / "a.safetensors")
    with pytest.raises(CheckpointError, match="does not exist"):
        analyze(tmp_path / "b.safetensors")


def test_contents_of_a_pruned_file(lightning: Any) -> None:
    path = lightning[0]
    entries = {entry.name: entry for entry in contents(path)}
    assert set(entries) == {"0.weight", "0.bias", "2.weight", "2.bias"}
    one = entries["0.weight"]
    assert (one.shape, one.dtype, one.zeros, one.masked, one.bytes) == ((16, 8), "float32", Count(96, 128), 96, 1024)
    assert entries["0.bias"].masked is None


def test_contents_show_masks_that_prunus_keeps_beside_the_weights(tmp_path: Path) -> None:
    model = mlp()
    scheduler = CompressionScheduler(model, [Prune(OneShot(0.5))], epochs=1)
    scheduler.epoch_begin()
    save_run(tmp_path / "run.ckpt", model=model, scheduler=scheduler)
    callback = {"callbacks": {"Compression": {"scheduler": scheduler.state_dict()}, "Other": None}}
    torch.save({"state_dict": copy.deepcopy(model.state_dict()), **callback}, tmp_path / "lightning.ckpt")
    for name in ("run.ckpt", "lightning.ckpt"):
        masked = {entry.name: entry.masked for entry in contents(tmp_path / name)}
        assert sum(count for count in masked.values() if count) == 96 and masked["0.bias"] is None


def test_contents_of_other_files(tmp_path: Path) -> None:
    model = normed()
    model.register_buffer("causal_mask", torch.ones(3, 3, dtype=torch.bool))
    save_sparse(tmp_path / "sparse.pt", model.state_dict())
    torch.save(model.state_dict(), tmp_path / "plain.pt")
    assert contents(tmp_path / "sparse.pt") == contents(tmp_path / "plain.pt")
    assert {entry.name for entry in contents(tmp_path / "plain.pt")} == set(model.state_dict())
