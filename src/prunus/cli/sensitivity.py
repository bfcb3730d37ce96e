"""``prunus sensitivity``: what each parameter minds, as a table, a file, a picture and a recipe."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from prunus.cli import named_code
from prunus.cli.extras import require_package
from prunus.cli.fuse import console_for_tables
from prunus.errors import SettingError, require_fraction, require_known

if TYPE_CHECKING:
    from prunus.measure import Sensitivity
    from prunus.measure.allocation import Mode
    from prunus.measure.scan import Watch

ModelOption = Annotated[str, typer.Option("--model", help="module:factory that makes the trained model.")]
MetricOption = Annotated[str, typer.Option("--metric", help="module:function from the model to a number, or several.")]
LevelsOption = Annotated[
    str | None, typer.Option("--levels", help="Sparsities, such as 0.5,0.9.", show_default="eleven from 0.1 to 0.99")
]
StructureOption = Annotated[str, typer.Option("--structure", help="Such as filter or block:rows=2,cols=8.")]
CriterionOption = Annotated[str, typer.Option("--criterion", help="Such as magnitude:p=2.")]
IncludeOption = Annotated[list[str] | None, typer.Option("--include", help="Pattern of names; may be repeated.")]
ExcludeOption = Annotated[list[str] | None, typer.Option("--exclude", help="Pattern of names; may be repeated.")]
TypesOption = Annotated[list[str] | None, typer.Option("--type", help="Layer class, such as Conv2d; may be repeated.")]
SeedOption = Annotated[int, typer.Option("--seed", min=0, help="Of every evaluation, and of random criteria.")]
OutputOption = Annotated[Path | None, typer.Option("--output", "-o", help="CSV file to which every reading goes.")]
ResumeOption = Annotated[bool, typer.Option("--resume", help="Go on with that file.")]
PlotOption = Annotated[Path | None, typer.Option("--plot", help="Picture: .svg, .png or .pdf.")]
RecipeOption = Annotated[Path | None, typer.Option("--recipe", help="Write a recipe that reaches --sparsity.")]
SparsityOption = Annotated[float | None, typer.Option("--sparsity", help="Wanted share of zeros in all targets.")]
NameOption = Annotated[
    str | None, typer.Option("--by", help="Which of several metrics counts.", show_default="the first")
]
ModeOption = Annotated[str, typer.Option("--mode", help="max: more of it is better; min: less is.")]
WorkersOption = Annotated[int, typer.Option("--workers", min=0, help="Processes side by side; the cores are shared.")]


def sensitivity(
    model: ModelOption,
    metric: MetricOption,
    levels: LevelsOption = None,
    structure: StructureOption = "element",
    criterion: CriterionOption = "magnitude",
    include: IncludeOption = None,
    exclude: ExcludeOption = None,
    types: TypesOption = None,
    seed: SeedOption = 0,
    output: OutputOption = None,
    resume: ResumeOption = False,
    plot: PlotOption = None,
    recipe: RecipeOption = None,
    sparsity: SparsityOption = None,
    by: NameOption = None,
    mode: ModeOption = "max",
    workers: WorkersOption = 0,
) -> None:
    """Prune each parameter alone, level by level, and see what that costs; suggest how sparse each should be.

    The model is judged as the factory returns it, never trained. Every cell starts from the untouched weights.
    """
    from prunus import measure
    from prunus.criteria import CRITERIA
    from prunus.select import Select
    from prunus.structures import STRUCTURES

    _prepare(plot, recipe, sparsity, mode, workers)
    with _progress() as watch:
        scan = measure.sensitivity(
            named_code.model(model),
            named_code.function(metric, "--metric"),
            select=Select(tuple(include or ("*",)), tuple(exclude or ()), tuple(types or ())),
            levels=None if levels is None else named_code.numbers(levels, "--levels"),
            structure=named_code.member(structure, STRUCTURES, "--structure"),
            criterion=named_code.member(criterion, CRITERIA, "--criterion"),
            seed=seed,
            csv=output,
            resume=resume,
            workers=workers,
            watch=watch,
        )
    show(scan, by)
    _leave(scan, output, plot, recipe, sparsity, by, "min" if mode == "min" else "max")


def show(scan: Sensitivity, metric: str | None = None, console: Console | None = None) -> None:
    """Print the metric of every target at every level, and of the dense model.

    >>> from prunus.measure import Reading, Sensitivity
    >>> scan = Sensitivity({"accuracy": 0.9}, (Reading("fc.weight", 0.5, 2, 4, 4, {"accuracy": 0.7}),))
    >>> show(scan, console=Console(width=60))
    <BLANKLINE>
    accuracy   dense  50 %
    fc.weight    0.9   0.7
    """
    console = console or console_for_tables()
    name = scan.named(metric)
    levels = sorted({row.level for row in scan.rows})
    table = Table(box=None, pad_edge=False)
    table.add_column(name, overflow="fold")
    for level in ("dense", *(f"{100 * level:g} %" for level in levels)):
        table.add_column(level, justify="right")
    for target in scan.targets:
        values = (value for _, value in scan.curve(target, name))
        table.add_row(target, *(f"{value:.4g}" for value in values))
    console.print()
    console.print(table)


def suggestion(scan: Sensitivity, sparsity: float, metric: str | None = None, mode: Mode = "max") -> str:
    """Return the recipe that reaches ``sparsity``, with what it is and what it may cost in comments above it.

    >>> from prunus.measure import Reading, Sensitivity
    >>> scan = Sensitivity({"accuracy": 0.9}, (Reading("fc.weight", 0.5, 2, 4, 4, {"accuracy": 0.7}),))
    >>> print(suggestion(scan, 0.5).splitlines()[0])
    # 0.5 of 4 weights in 1 parameters: 2 zeros, chosen by prunus sensitivity (accuracy, max).
    """
    from prunus import recipes
    from prunus.measure import allocate

    name = scan.named(metric)
    shares = allocate(scan, sparsity, metric=metric, mode=mode)
    zeros = sum(share.pruned * share.size for share in shares)
    cost = sum(share.cost for share in shares)
    lines = [
        f"# {sparsity:g} of {scan.weights:,} weights in {len(shares)} parameters: {zeros:,} zeros, "
        f"chosen by prunus sensitivity ({name}, {mode}).",
        f"# Without training, and if parameters did not interact, {name} would change from {scan.dense[name]:.4g} by "
        f"{-cost if mode == 'max' else cost:+.4g}. Train, and compare with one global ranking.",
    ]
    return "\n".join([*lines, recipes.dump(recipes.suggest(scan, sparsity, metric=metric, mode=mode))])


def _leave(
    scan: Sensitivity,
    output: Path | None,
    plot: Path | None,
    recipe: Path | None,
    sparsity: float | None,
    metric: str | None,
    mode: Mode,
) -> None:
    """Write picture and recipe, and say where everything is."""
    written = {"readings": output}
    if plot is not None:
        from prunus.report import scan_picture

        written["picture"] = scan_picture(scan, plot, metric=metric)
    if recipe is not None and sparsity is not None:
        recipe.parent.mkdir(parents=True, exist_ok=True)
        recipe.write_text(suggestion(scan, sparsity, metric, mode), "utf-8")
        written["recipe"] = recipe
    for what, path in written.items():
        if path is not None:
            typer.echo(f"{what:9} {path}")


def _prepare(plot: Path | None, recipe: Path | None, sparsity: float | None, mode: str, workers: int) -> None:
    """Refuse half a wish, or a vain one, before the work begins, and let the workers share the cores of one process."""
    import torch

    if (recipe is None) != (sparsity is None):
        raise SettingError("--recipe and --sparsity go together: where to write it, and what it should reach")
    if sparsity is not None:
        require_fraction("--sparsity", sparsity)
    require_known("--mode", mode, ("max", "min"))
    if plot is not None:
        require_known("the suffix of --plot", plot.suffix, (".svg", ".png", ".pdf"))
        if plot.suffix != ".svg":
            require_package("matplotlib", "a picture other than .svg")
    if workers:
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // workers))


@contextmanager
def _progress() -> Iterator[Watch]:
    """Show a bar with the last reading."""
    from prunus.measure import Reading

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("the dense model", total=None)

        def watch(done: int, total: int, reading: Reading) -> None:
            """Move the bar."""
            bar.update(task, completed=done, total=total, description=f"{reading.target} at {100 * reading.level:g} %")

        yield watch
