"""The two doors to the disk: a write that is whole or absent, a read that runs no code and names what is wrong."""

from __future__ import annotations

import os
import pickle
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import torch

from prunus.checkpoints.leftovers import sweep, temporary
from prunus.checkpoints.plain import misfits
from prunus.errors import CheckpointError, Faults, did_you_mean

ZIP_MAGIC = b"PK\x03\x04"


def write(path: str | os.PathLike[str], state: dict[str, Any], *, trust: bool = False) -> None:
    """Write ``state`` so that ``path`` holds either the old file or the whole new one, whenever the power goes.

    Temporary file beside the target → flush → fsync → rename → fsync of the folder. When anything fails the old file
    is untouched and the temporary file is removed; what a killed writer leaves, the next one removes.

    Args:
        path: the file; its folder must exist.
        state: a dict of plain data (tensors, numbers, strings, bytes, nested dicts, lists and tuples).
        trust: also write what would not load with ``weights_only=True``, such as objects of another program's
            checkpoint that was read with ``trust=True``.

    Errors: CheckpointError when the folder is missing or when something would not load with ``weights_only=True``,
    naming its place; nothing is written then. OSError of the disk passes through.
    Use it for every checkpoint. A file that other programs follow while it grows (a log) is no case for it.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "a.ckpt"
    >>> write(path, {"epoch": 3})
    >>> read(path)
    {'epoch': 3}
    """
    target = Path(path)
    _require_writable(target, state, trust)
    with replacing(target) as file:
        torch.save(state, file)


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Yield a file that replaces ``path`` when the block ends well, and leaves no trace when it raises.

    What writers that were killed left of it is removed.

    For formats of their own; a checkpoint of plain data is written by :func:`write`.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "a.bin"
    >>> with replacing(path) as file:
    ...     _ = file.write(b"whole")
    >>> path.read_bytes()
    b'whole'
    """
    target = Path(path)
    draft = temporary(target)
    try:
        with draft.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, target)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    _sync_folder(target.parent)
    sweep(target)


def read(path: str | os.PathLike[str], *, trust: bool = False) -> dict[str, Any]:
    """Read a checkpoint onto the CPU without running any code that the file may carry.

    Args:
        path: a file of :func:`write`, or any file of ``torch.save`` that holds a dict of plain data.
        trust: when the file turns out to hold Python objects, load it all the same, which runs whatever code it names.
            Say it only of files whose origin you know; plain files are read safely in any case.

    Errors: CheckpointError with the path and what to do, for a missing file, a truncated one, a damaged one (checksums
    are compared, which ``torch.load`` does not), one that holds Python objects, and one that is no checkpoint.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "a.ckpt"
    >>> write(path, {"weight": torch.ones(2)})
    >>> _ = path.write_bytes(path.read_bytes()[:100])
    >>> read(path)  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
        ...
    prunus.errors.CheckpointError: a.ckpt is truncated
    """
    source = Path(path)
    _require_whole(source)
    try:
        state = torch.load(source, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as fault:
        if not (trust and _names_objects(fault)):
            raise CheckpointError(_unsafe(source, fault)) from fault
        state = _load_trusted(source)
    except Exception as fault:  # torch.load raises EOFError, KeyError, RuntimeError, ... on bytes it cannot read
        what = f"{type(fault).__name__}: {fault}"
        raise CheckpointError(f"{source} is not a checkpoint, or is damaged ({what})") from fault
    if not isinstance(state, dict):
        raise CheckpointError(f"{source} is not a checkpoint: it holds a {type(state).__name__}, expected a dict")
    return state


def _load_trusted(source: Path) -> Any:
    try:
        return torch.load(source, map_location="cpu", weights_only=False)
    except Exception as fault:  # the file runs code of its own, which may raise anything
        what = f"{type(fault).__name__}: {fault}"
        raise CheckpointError(f"{source} is no checkpoint, or holds objects that cannot be built ({what})") from fault


def _require_writable(target: Path, state: dict[str, Any], trust: bool) -> None:
    if not isinstance(state, dict):
        raise CheckpointError(f"the state for {target} is a {type(state).__name__}, expected a dict")
    require_folder(target)
    if trust:
        return
    faults = Faults(f"cannot write {target}, these would not load with weights_only=True (store numbers or tensors)")
    for fault in misfits(state):
        faults.add(fault)
    faults.raise_as(CheckpointError)


def require_folder(target: Path) -> None:
    """Raise CheckpointError unless the folder of a file to write exists.

    >>> require_folder(Path("nowhere/a.ckpt"))
    Traceback (most recent call last):
        ...
    prunus.errors.CheckpointError: cannot write nowhere/a.ckpt: the folder nowhere does not exist. Create it first.
    """
    if not target.parent.is_dir():
        raise CheckpointError(f"cannot write {target}: the folder {target.parent} does not exist. Create it first.")


def require_file(source: Path) -> None:
    """Raise CheckpointError, with the nearest name in its folder, unless a file to read exists.

    >>> require_file(Path("nowhere/a.ckpt"))
    Traceback (most recent call last):
        ...
    prunus.errors.CheckpointError: nowhere/a.ckpt does not exist. In its folder: None is known.
    """
    if source.is_dir():
        raise CheckpointError(f"{source} is a folder, expected a checkpoint file")
    if not source.exists():
        names = [entry.name for entry in source.parent.iterdir()] if source.parent.is_dir() else []
        raise CheckpointError(f"{source} does not exist. In its folder: {did_you_mean(source.name, names)}")


def _require_whole(source: Path) -> None:
    require_file(source)
    with source.open("rb") as file:
        magic = file.read(len(ZIP_MAGIC))
    if magic == ZIP_MAGIC[: len(magic)] and not _has_directory(source):
        size = source.stat().st_size
        raise CheckpointError(
            f"{source} is truncated: {size} bytes without the closing directory, so the program that wrote it was cut "
            "off or the disk was full. Use the checkpoint before it; files of prunus.checkpoints.write are never cut."
        )
    if magic == ZIP_MAGIC:
        _require_checksums(source)


def _has_directory(source: Path) -> bool:
    """Whether the archive was closed; a directory that makes no sense is one, and damaged."""
    try:
        return zipfile.is_zipfile(source)
    except zipfile.BadZipFile:
        return True


def _require_checksums(source: Path) -> None:
    """Compare the checksums; all are zero where torch was told to leave them out (``set_crc32_options``)."""
    try:
        with zipfile.ZipFile(source) as archive:
            damaged = archive.testzip() if any(entry.CRC for entry in archive.infolist()) else None
    except Exception as fault:  # each field of the format that is damaged raises in its own way
        raise CheckpointError(f"{source} is damaged: {fault}. Use another copy of it.") from fault
    if damaged is not None:
        raise CheckpointError(f"{source} is damaged: the checksum of {damaged} is wrong. Use another copy of it.")


def _unsafe(source: Path, fault: Exception) -> str:
    what = str(fault)
    if not _names_objects(fault):
        return f"{source} is not a checkpoint, or is damaged ({what.splitlines()[-1]})"
    named = next((line.strip() for line in what.splitlines() if "GLOBAL" in line or "class" in line), what)
    return (
        f"{source} is unsafe to load: it holds Python objects, which may run any code ({named}). If you trust where it "
        "comes from, read it with trust=True (on the command line: --trust)."
    )


def _names_objects(fault: Exception) -> bool:
    """Whether the safe loader stopped at an object, and not at bytes that make no sense."""
    return "GLOBAL" in str(fault) or "nsupported" in str(fault)


def _sync_folder(folder: Path) -> None:
    """Make the rename itself durable; platforms that cannot open a folder (Windows) rename durably anyway."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
