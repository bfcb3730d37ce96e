"""``prunus inspect``: what a checkpoint file holds, parameter by parameter."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from prunus.cli.fuse import TrustOption, console_for_tables

if TYPE_CHECKING:
    from prunus.checkpoints import Entry

FileArgument = Annotated[Path, typer.Argument(help="Checkpoint: .ckpt, .pt, .pth or .safetensors.")]
COLUMNS = ("parameter", "shape", "type", "zeros", "masked", "bytes")


def inspect(file: FileArgument, trust: TrustOption = False) -> None:
    """Show the shape, zeros, mask and bytes of every parameter in a checkpoint file."""
    from prunus import checkpoints

    entries = checkpoints.contents(file, trust=trust)
    console = console_for_tables()
    console.print(table(entries))
    size = file.stat().st_size
    console.print(f"\n{size:,} bytes on disk  {file}", highlight=False, soft_wrap=True)


def table(entries: list[Entry]) -> Table:
    """Return the table of a file's tensors with a row of totals; "masked" is empty where there is no mask.

    >>> table([]).row_count
    1
    """
    drawn = Table(box=None, pad_edge=False)
    for name in COLUMNS:
        drawn.add_column(name, justify="left" if name in COLUMNS[:3] else "right", overflow="fold")
    for entry in entries:
        masked = "" if entry.masked is None else _share(entry.masked, entry.zeros.total)
        shape = " × ".join(map(str, entry.shape)) or "scalar"
        zeros = _share(entry.zeros.zeros, entry.zeros.total)
        drawn.add_row(entry.name, shape, entry.dtype, zeros, masked, f"{entry.bytes:,}")
    drawn.add_section()
    drawn.add_row("total", *_totals(entries), style="bold")
    return drawn


def _totals(entries: list[Entry]) -> tuple[str, str, str, str, str]:
    total = sum(entry.zeros.total for entry in entries)
    zeros, masks = sum(entry.zeros.zeros for entry in entries), [entry.masked for entry in entries]
    masked = sum(mask for mask in masks if mask is not None)
    shown = _share(masked, total) if any(mask is not None for mask in masks) else ""
    return f"{total:,}", "", _share(zeros, total), shown, f"{sum(entry.bytes for entry in entries):,}"


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.2%}" if whole else "–"
