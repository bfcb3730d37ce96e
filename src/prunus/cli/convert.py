"""``prunus convert``: a compression schedule of Distiller's as a native recipe."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from prunus.cli.lint import model_of
from prunus.cli.outputs import writing

if TYPE_CHECKING:
    from prunus.recipes.distiller.converting import Conversion

FileArgument = Annotated[
    Path, typer.Argument(help="Compression schedule of Distiller's.", exists=True, dir_okay=False, metavar="SCHEDULE")
]
OutputOption = Annotated[
    Path | None, typer.Option("--output", "-o", help="File to write.", show_default="the terminal")
]
ModelOption = Annotated[
    str | None, typer.Option("--model", help="module:factory that makes the model; names and '*' are looked up in it.")
]


def convert(schedule: FileArgument, output: OutputOption = None, model: ModelOption = None) -> None:
    """Write the native recipe that gives the same masks as a compression schedule of Distiller's.

    What has no exact native equivalent is said, with its line, and then nothing is written and the status is 1.
    """
    from prunus.recipes.distiller import converting

    if output is not None and output.exists() and output.samefile(schedule):
        raise typer.BadParameter("this is the schedule itself, which would be lost", param_hint="--output")
    network = model_of(model)
    conversion = converting.convert(schedule, network)
    _say(schedule, conversion)
    if conversion.recipe is None:
        raise typer.Exit(1)
    text = recipe_text(conversion, schedule)
    if output is None:
        typer.echo(text, nl=False)
    else:
        _write(output, text)
        typer.echo(f"recipe    {output}")


def recipe_text(conversion: Conversion, schedule: Path) -> str:
    """Return the recipe with a line on where it comes from.

    >>> from prunus.recipes.distiller.converting import convert as converted
    >>> policy = {"pruner": {"instance_name": "a"}, "epochs": [0]}
    >>> pruner = {"class": "SparsityLevelParameterPruner", "levels": {"fc.weight": 0.5}}
    >>> conversion = converted({"pruners": {"a": pruner}, "policies": [policy]})
    >>> print(recipe_text(conversion, Path("schedules/alexnet.yaml")).splitlines()[0])
    # Converted by prunus convert from alexnet.yaml, a compression schedule of Distiller's.
    """
    assert conversion.recipe is not None
    head = f"# Converted by prunus convert from {schedule.name}, a compression schedule of Distiller's.\n"
    return head + conversion.recipe.to_yaml()


def _say(schedule: Path, conversion: Conversion) -> None:
    """Show what was found beside the recipe, so that the recipe itself can go to a pipe."""
    from prunus.cli import findings
    from prunus.recipes.lint import Findings, texts_of

    found, console = Findings("distiller", conversion.faults), Console(stderr=True, highlight=False)
    findings.show(found, texts_of(schedule, found), console)
    if conversion.recipe is None:
        nothing = "" if found.count("error") else ", and there is nothing to convert"
        console.print(findings.summary(str(schedule), found).append(f"{nothing}; nothing was written"), soft_wrap=True)


def _write(path: Path, text: str) -> None:
    from prunus.checkpoints.files import replacing

    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file:
            file.write(text.encode("utf-8"))
