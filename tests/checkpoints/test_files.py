from __future__ import annotations

import gc
import os
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from prunus.checkpoints import read, write
from prunus.errors import CheckpointError

STATE: dict[str, Any] = {
    "weight": torch.arange(2000.0),
    "numbers": [1, 2.5, True, None, "text", b"\x00\xff", (1j, {3})],
}


def same(one: Any, other: Any) -> bool:
    return torch.equal(one["weight"], other["weight"]) and one["numbers"] == other["numbers"]


def test_what_was_written_is_read(tmp_path: Path) -> None:
    write(tmp_path / "a.ckpt", STATE)
    assert same(read(tmp_path / "a.ckpt"), STATE)
    assert same(torch.load(tmp_path / "a.ckpt", weights_only=True), STATE)
    assert os.listdir(tmp_path) == ["a.ckpt"]


def test_a_new_file_gets_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    write(tmp_path / "a.ckpt", STATE)
    (tmp_path / "b").touch()
    assert stat.S_IMODE(os.stat(tmp_path / "a.ckpt").st_mode) == stat.S_IMODE(os.stat(tmp_path / "b").st_mode)


@pytest.mark.parametrize("broken", ["torch.save", "os.fsync", "os.replace"])
def test_a_failure_half_way_leaves_the_old_file_and_nothing_else(
    broken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "a.ckpt", STATE)

    def full(*arguments: Any) -> None:
        if broken == "torch.save":
            arguments[1].write(b"half a checkpoint")
        raise OSError("no space left")

    monkeypatch.setattr(broken, full)
    with pytest.raises(OSError, match="no space left"):
        write(tmp_path / "a.ckpt", {"weight": torch.zeros(1)})
    monkeypatch.undo()
    assert same(read(tmp_path / "a.ckpt"), STATE)
    assert os.listdir(tmp_path) == ["a.ckpt"]


def test_the_rename_comes_after_the_file_and_before_the_folder_is_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    fsync, replace = os.fsync, os.replace

    def watched_fsync(handle: int) -> None:
        calls.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file")
        fsync(handle)

    def watched_replace(source: Any, target: Any) -> None:
        calls.append("rename")
        replace(source, target)

    monkeypatch.setattr("os.fsync", watched_fsync)
    monkeypatch.setattr("os.replace", watched_replace)
    write(tmp_path / "a.ckpt", STATE)
    assert calls == ["file", "rename", "folder"]


def test_what_would_not_load_is_refused_with_every_place(tmp_path: Path) -> None:
    state = {"lr": np.float64(0.1), "groups": [{"reg": nn.Linear(1, 1)}]}
    both = r"(?s)state\['lr'\] is a float64.*state\['groups'\]\[0\]\['reg'\] is a Linear"
    with pytest.raises(CheckpointError, match=both):
        write(tmp_path / "a.ckpt", state)
    with pytest.raises(CheckpointError, match=r"key \(1, range\(0, 2\)\) of state\['by place'\]\[1\] is a range"):
        write(tmp_path / "a.ckpt", {"by place": {(1, range(2)): "a"}})
    with pytest.raises(CheckpointError, match="is a list, expected a dict"):
        write(tmp_path / "a.ckpt", [])  # type: ignore[arg-type]
    with pytest.raises(CheckpointError, match="Create it first"):
        write(tmp_path / "absent" / "a.ckpt", STATE)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("share", [0.0, 0.0001, 0.01, 0.5, 0.99])
def test_a_truncated_file_is_named_as_such(share: float, tmp_path: Path) -> None:
    path = tmp_path / "a.ckpt"
    write(path, STATE)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(CheckpointError, match=r"a\.ckpt is truncated.*Use the checkpoint before it"):
        read(path)


def test_a_flipped_bit_is_found_though_torch_loads_it(tmp_path: Path) -> None:
    path = tmp_path / "a.ckpt"
    write(path, STATE)
    data = bytearray(path.read_bytes())
    data[data.find(STATE["weight"].numpy().tobytes()) + 100] ^= 1
    path.write_bytes(data)
    assert not torch.equal(torch.load(path, weights_only=True)["weight"], STATE["weight"])
    with pytest.raises(CheckpointError, match=r"is damaged: the checksum of .* is wrong"):
        read(path)


def test_a_file_that_was_written_without_checksums_is_read(tmp_path: Path) -> None:
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(STATE, tmp_path / "a.ckpt")
    finally:
        torch.serialization.set_crc32_options(True)
    assert same(read(tmp_path / "a.ckpt"), STATE)


@pytest.mark.skipif(not Path("/dev/fd").is_dir(), reason="this system does not list its open files")
def test_neither_door_is_left_open(tmp_path: Path) -> None:
    gc.collect()  # what other tests have left would be closed meanwhile
    before = len(os.listdir("/dev/fd"))
    for _ in range(3):
        write(tmp_path / "a.ckpt", STATE)
        read(tmp_path / "a.ckpt")
    assert len(os.listdir("/dev/fd")) == before


class Trap:
    def __reduce__(self) -> Any:
        return os.mkdir, ("sprung",)


def test_a_flipped_bit_anywhere_is_found_or_changes_nothing(tmp_path: Path) -> None:
    """The directory at the end of the file is read before any checksum: names, flags, sizes."""
    whole, path = tmp_path / "whole.ckpt", tmp_path / "a.ckpt"
    state = {"weight": torch.arange(5.0), "nested": {"λ": [1.0, "two"]}}
    write(whole, state)
    original = whole.read_bytes()
    for place in range(0, len(original), 3):
        damaged = bytearray(original)
        damaged[place] ^= 1 << place % 8
        path.write_bytes(damaged)
        try:
            found = read(path)
        except CheckpointError as fault:
            assert str(path) in str(fault)
        else:
            assert torch.equal(found.pop("weight"), state["weight"]) and found == {"nested": state["nested"]}


def test_objects_are_refused_and_run_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"trap": Trap()}, "trap.ckpt")
    torch.save({"model": nn.Linear(1, 1)}, "module.ckpt")
    for name in ("trap.ckpt", "module.ckpt"):
        with pytest.raises(CheckpointError, match=rf"{name} is unsafe to load.*If you trust where it comes from"):
            read(name)
    assert not Path("sprung").exists()


def test_other_files_are_no_checkpoints(tmp_path: Path) -> None:
    (tmp_path / "text.ckpt").write_text("hello world, this is a text")
    torch.save(torch.ones(2), tmp_path / "tensor.ckpt")
    with pytest.raises(CheckpointError, match=r"text\.ckpt is not a checkpoint"):
        read(tmp_path / "text.ckpt")
    with pytest.raises(CheckpointError, match="it holds a Tensor, expected a dict"):
        read(tmp_path / "tensor.ckpt")
    with pytest.raises(CheckpointError, match=r"tensr\.ckpt does not exist.*Did you mean 'tensor\.ckpt'"):
        read(tmp_path / "tensr.ckpt")
    with pytest.raises(CheckpointError, match="is a folder"):
        read(tmp_path)


def test_a_file_without_zip_of_older_torch_is_read(tmp_path: Path) -> None:
    torch.save(STATE, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    assert same(read(tmp_path / "old.pt"), STATE)
