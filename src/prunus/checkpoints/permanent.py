"""Make pruning permanent in a file: fuse its weights, write it whole, and say what changed."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from torch import Tensor

from prunus.checkpoints.formats import Content, read_file, write_file
from prunus.checkpoints.fused import fuse, pairs_of
from prunus.checkpoints.optimizer_order import Built
from prunus.checkpoints.optimizer_state import place_in_file
from prunus.checkpoints.parts import parts_of, rebuilt
from prunus.errors import CheckpointError
from prunus.measure import Count, count

METADATA = "permanent_pruning_metadata"
STALE = ("magnitude_pruner_state",)
"""Entries of other programs that only make sense beside the masks."""


class FusedLayer(NamedTuple):
    """One fused parameter: exact zeros as it was stored, and as the masks leave it.

    >>> str(FusedLayer("fc.weight", (2, 2), Count(0, 4), Count(3, 4)).after)
    '75.00 % (1 of 4 left)'
    """

    name: str
    shape: tuple[int, ...]
    before: Count
    after: Count


@dataclass(frozen=True)
class Permanence:
    """What fusing a file changes: its pruned layers, the zeros of all weights, and the bytes on disk.

    >>> Permanence(Path("a.pt"), None, (), Count(0, 4), Count(3, 4), 900, 700, "none").layers
    ()
    """

    source: Path
    target: Path | None
    layers: tuple[FusedLayer, ...]
    zeros_before: Count
    zeros_after: Count
    bytes_before: int
    bytes_after: int
    optimizer: str
    """What became of the optimizers' state: "kept", "dropped", or "none" where the file has none."""


@dataclass(frozen=True)
class FuseSettings:
    """How :func:`make_permanent` and :func:`analyze` treat a file.

    Args:
        keep_optimizer: keep the optimizers' state, numbered for the clean model. Default: drop it, and the learning
            rate schedulers that Lightning loads with it only.
        optimizer_built: "before" or "after" pruning, where the shapes of the state cannot tell.
        ignore: names or shell patterns of entries that only look like torch's pruning, as for
            :func:`prunus.checkpoints.fuse`.
        trust: read (and write) Python objects, see :func:`prunus.checkpoints.read`.

    >>> FuseSettings().keep_optimizer
    False
    """

    keep_optimizer: bool = False
    optimizer_built: Built | None = None
    ignore: tuple[str, ...] = ()
    trust: bool = False


def permanent_path(source: str | os.PathLike[str]) -> Path:
    """Return the file beside ``source`` that its fused form goes to by default.

    >>> permanent_path("runs/last.ckpt").as_posix()
    'runs/last_permanent.ckpt'
    """
    path = Path(source)
    return path.with_name(f"{path.stem}_permanent{path.suffix}")


def make_permanent(
    source: str | os.PathLike[str], target: str | os.PathLike[str] | None = None, settings: FuseSettings | None = None
) -> Permanence:
    """Fuse the ``_orig``/``_mask`` entries of a checkpoint file and write the result, whole or not at all.

    A Lightning checkpoint stays one, with ``permanent_pruning_metadata`` added; a plain state dict stays one.

    Args:
        source: .ckpt, .pt, .pth or .safetensors.
        target: where to. Default: :func:`permanent_path`. The suffix decides the format.
        settings: see :class:`FuseSettings`.

    Errors: CheckpointError when there is nothing to fuse, and as :func:`prunus.checkpoints.fuse`,
    :func:`prunus.checkpoints.read`, :func:`prunus.checkpoints.write`. The old target is untouched then.

    >>> import tempfile, torch
    >>> path = Path(tempfile.mkdtemp()) / "a.pt"
    >>> torch.save({"weight_orig": torch.ones(4), "weight_mask": torch.tensor([1.0, 0, 0, 0])}, path)
    >>> print(make_permanent(path).zeros_after)
    75.00 % (1 of 4 left)
    """
    settings = settings or FuseSettings()
    content, found = _fused(Path(source), settings)
    if not found.layers:
        raise CheckpointError(f"{source} has nothing to fuse: none of its entries end in _orig or _mask")
    path = permanent_path(source) if target is None else Path(target)
    write_file(path, content, trust=settings.trust)
    return _with(found, target=path, bytes_after=path.stat().st_size)


def analyze(source: str | os.PathLike[str], settings: FuseSettings | None = None) -> Permanence:
    """Return what :func:`make_permanent` would do, the size measured too, and write nothing that stays.

    >>> import tempfile, torch
    >>> path = Path(tempfile.mkdtemp()) / "a.pt"
    >>> torch.save({"weight": torch.zeros(4)}, path)
    >>> analyze(path).layers, str(analyze(path).zeros_after)
    ((), '100.00 % (0 of 4 left)')
    """
    settings = settings or FuseSettings()
    content, found = _fused(Path(source), settings)
    with TemporaryDirectory() as folder:
        path = Path(folder) / Path(source).name
        write_file(path, content, trust=settings.trust)
        return _with(found, target=None, bytes_after=path.stat().st_size)


def _fused(source: Path, settings: FuseSettings) -> tuple[Content, Permanence]:
    content = read_file(source, trust=settings.trust)
    parts = parts_of(content.checkpoint, source)
    pairs = pairs_of(parts.weights, settings.ignore)
    weights, masks = fuse(parts.weights, ignore=settings.ignore)
    layers = tuple(
        FusedLayer(name, tuple(pair.original.shape), count(pair.original), count(weights[name]))
        for name, pair in pairs.items()
    )
    fate = "none" if not parts.optimizers else "kept" if settings.keep_optimizer else "dropped"
    placed = [place_in_file(one, weights, masks, settings.optimizer_built) for one in parts.optimizers] * (
        fate == "kept"
    )
    fresh = rebuilt(content.checkpoint, weights, placed or None)
    if parts.key is not None and layers:
        fresh = {name: value for name, value in fresh.items() if name not in STALE} | {METADATA: _metadata(source)}
    before, after = _zeros(parts.weights, weights, pairs)
    size = source.stat().st_size
    return Content(fresh, content.header), Permanence(source, None, layers, before, after, size, size, fate)


def _zeros(was: Mapping[str, Any], now: Mapping[str, Any], pairs: Collection[str]) -> tuple[Count, Count]:
    """Exact zeros of all floating tensors, the masks themselves not counted."""
    after = [value for value in now.values() if isinstance(value, Tensor) and value.is_floating_point()]
    originals = [was[f"{name}_orig"] for name in pairs]
    others = [now[name] for name in now if name not in pairs and isinstance(now[name], Tensor)]
    before = [*originals, *(value for value in others if value.is_floating_point())]
    return count(before), count(after)


def _metadata(source: Path) -> dict[str, Any]:
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    return {"made_permanent": True, "original_file": source.name, "timestamp": now}


def _with(found: Permanence, **changes: Any) -> Permanence:
    return Permanence(**{**vars(found), **changes})
