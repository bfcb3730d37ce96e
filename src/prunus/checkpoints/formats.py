"""Checkpoints by the suffix of their file: ``torch.save`` (.ckpt, .pt, .pth) or safetensors."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from prunus.checkpoints import files
from prunus.checkpoints.sparse import FORMAT as SPARSE
from prunus.checkpoints.sparse import load_sparse
from prunus.errors import CheckpointError, MissingExtraError

SAFETENSORS = ".safetensors"
SUFFIXES = (".ckpt", ".pt", ".pth", SAFETENSORS)


class Content(NamedTuple):
    """What a file holds: a checkpoint, and the strings of a safetensors header.

    >>> Content({"weight": None}).header
    {}
    """

    checkpoint: dict[str, Any]
    header: dict[str, str] = {}  # noqa: RUF012  # never written to


def read_file(path: str | os.PathLike[str], *, trust: bool = False) -> Content:
    """Read a checkpoint of any of the known suffixes; weights of ``save_sparse`` come dense.

    Errors: CheckpointError for other suffixes and as :func:`prunus.checkpoints.read`; MissingExtraError when the file
    needs safetensors and that is not installed.

    >>> read_file("weights.h5")
    Traceback (most recent call last):
        ...
    prunus.errors.CheckpointError: weights.h5 has the suffix '.h5', expected .ckpt, .pt, .pth or .safetensors
    """
    if _suffix(path) == SAFETENSORS:
        return _read_safetensors(Path(path))
    checkpoint = files.read(path, trust=trust)
    return Content(load_sparse(path) if checkpoint.get("format") == SPARSE else checkpoint)


def write_file(path: str | os.PathLike[str], content: Content, *, trust: bool = False) -> None:
    """Write a checkpoint in the format of the suffix, whole or not at all.

    Errors: as :func:`prunus.checkpoints.write`; CheckpointError when safetensors is to hold anything but tensors.

    >>> import tempfile, torch
    >>> path = Path(tempfile.mkdtemp()) / "a.pt"
    >>> write_file(path, Content({"weight": torch.ones(1)}))
    >>> read_file(path).checkpoint
    {'weight': tensor([1.])}
    """
    if _suffix(path) == SAFETENSORS:
        _write_safetensors(Path(path), content)
    else:
        files.write(path, content.checkpoint, trust=trust)


def _suffix(path: str | os.PathLike[str]) -> str:
    suffix = Path(path).suffix
    if suffix not in SUFFIXES:
        raise CheckpointError(f"{path} has the suffix {suffix!r}, expected {', '.join(SUFFIXES[:-1])} or {SAFETENSORS}")
    return suffix


def _read_safetensors(path: Path) -> Content:
    safetensors = _safetensors()
    files.require_file(path)
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            header = dict(file.metadata() or {})
            return Content({name: file.get_tensor(name) for name in file.keys()}, header)  # noqa: SIM118
    except safetensors.SafetensorError as fault:
        raise CheckpointError(f"{path} is not a safetensors file, or is damaged ({fault})") from fault


def _write_safetensors(path: Path, content: Content) -> None:
    _safetensors()
    from safetensors.torch import save

    wrong = [name for name, value in content.checkpoint.items() if not isinstance(value, Tensor)]
    if wrong:
        raise CheckpointError(f"{path} would have to hold {', '.join(map(repr, wrong[:6]))}, safetensors tensors only")
    files.require_folder(path)
    data = save(_apart(content.checkpoint), content.header or None)
    with files.replacing(path) as file:
        file.write(data)


def _apart(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Contiguous tensors of which no two share memory, as the format wants them."""
    seen: set[int] = set()
    apart = {}
    for name, tensor in tensors.items():
        place = tensor.untyped_storage().data_ptr()
        apart[name] = tensor.detach().clone() if place in seen else tensor.detach().contiguous()
        seen.add(place)
    return apart


def _safetensors() -> Any:
    try:
        import safetensors
    except ImportError as fault:
        raise MissingExtraError("files of safetensors need its package: pip install prunus[safetensors]") from fault
    return safetensors
