"""``prunus fuse``: fuse the masks of a checkpoint file into its weights, and show what changed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from prunus.checkpoints import Permanence

WIDTH = 100
"""Columns of a table that goes to a file or a pipe."""

InputArgument = Annotated[Path, typer.Argument(help="Checkpoint: .ckpt, .pt, .pth or .safetensors.", metavar="INPUT")]
OutputOption = Annotated[
    Path | None,
    typer.Option("--output", "-o", help="File to write.", show_default="NAME_permanent.EXT beside INPUT"),
]
AnalyzeOption = Annotated[bool, typer.Option("--analyze", "-a", help="Report only, write nothing.")]
KeepOption = Annotated[
    bool,
    typer.Option("--keep-optimizer/--drop-optimizer", help="Keep the optimizer's state, numbered for the clean model."),
]
BuiltOption = Annotated[
    str | None,
    typer.Option("--optimizer-built", help="'before' or 'after' pruning, where the state's shapes cannot tell."),
]
IgnoreOption = Annotated[
    list[str] | None,
    typer.Option("--ignore", help="Entry (or pattern) that only looks like torch's pruning; may be given repeatedly."),
]
TrustOption = Annotated[
    bool, typer.Option("--trust", help="Load Python objects of the file, which may run any code: only if you trust it.")
]
VerboseOption = Annotated[bool, typer.Option("--verbose", "-v", help="Also list every fused parameter.")]


def fuse(
    source: InputArgument,
    output: OutputOption = None,
    analyze: AnalyzeOption = False,
    keep_optimizer: KeepOption = False,
    optimizer_built: BuiltOption = None,
    ignore: IgnoreOption = None,
    trust: TrustOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Make torch's pruning permanent in a file: weight = weight_orig · weight_mask.

    For checkpoints of torch.nn.utils.prune and of Lightning's ModelPruning. INPUT stays as it is.
    """
    from prunus import checkpoints
    from prunus.errors import require_known

    if optimizer_built is not None:
        require_known("--optimizer-built", optimizer_built, ("before", "after"))
    built = {"before": "before", "after": "after"}.get(optimizer_built or "")
    settings = checkpoints.FuseSettings(keep_optimizer, built, tuple(ignore or ()), trust)  # type: ignore[arg-type]
    if analyze:
        show(checkpoints.analyze(source, settings), verbose)
    else:
        show(checkpoints.make_permanent(source, output, settings), verbose)


def show(found: Permanence, verbose: bool = False, console: Console | None = None) -> None:
    """Print what fusing changed, or would change: pruned layers, zeros, bytes.

    >>> from prunus.checkpoints import Permanence
    >>> from prunus.measure import Count
    >>> found = Permanence(Path("a.pt"), Path("b.pt"), (), Count(0, 4), Count(3, 4), 900, 700, "dropped")
    >>> show(found, console=Console(width=60))  # doctest: +ELLIPSIS
    <BLANKLINE>
    ...bytes on disk...900...700...
    optimizer state  dropped (--keep-optimizer keeps it)
    written          b.pt
    """
    console = console or console_for_tables()
    if verbose and found.layers:
        console.print(_layers(found))
    table = Table(box=None, pad_edge=False)
    for name in ("", "before", "after"):
        table.add_column(name, justify="right" if name else "left")
    table.add_row("pruned entries", f"{len(found.layers):,}", "0")
    table.add_row("zeros", str(found.zeros_before), str(found.zeros_after))
    table.add_row("bytes on disk", f"{found.bytes_before:,}", f"{found.bytes_after:,}")
    console.print()
    console.print(table)
    fate = {"dropped": "dropped (--keep-optimizer keeps it)", "none": "none in the file"}
    console.print(f"optimizer state  {fate.get(found.optimizer, found.optimizer)}", highlight=False)
    what = "nothing (--analyze)" if found.target is None else os.fspath(found.target)
    console.print(f"written          {what}", highlight=False, soft_wrap=True)


def console_for_tables() -> Console:
    """Return a console that is wide enough for a table also where there is no terminal.

    >>> console_for_tables().width >= 40
    True
    """
    console = Console()
    return console if console.is_terminal else Console(width=WIDTH)


def _layers(found: Permanence) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("parameter", "shape", "zeros before", "zeros after"):
        table.add_column(name, justify="left" if name in ("parameter", "shape") else "right", overflow="fold")
    for layer in found.layers:
        shape = " × ".join(map(str, layer.shape))
        table.add_row(layer.name, shape, f"{layer.before.sparsity:.2%}", f"{layer.after.sparsity:.2%}")
    return table
