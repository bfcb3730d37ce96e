"""``prunus timeline``: which policy acts when, before anything is trained."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from prunus.cli.outputs import writing

WIDTH, STEPS = 80, 100
"""Columns where there is no terminal; steps of an epoch where none are said and policies count them."""

RecipeArgument = Annotated[Path, typer.Argument(help="A recipe, native or Distiller's.")]
EpochsOption = Annotated[int, typer.Option("--epochs", min=1, help="Length of the run.")]
StepsOption = Annotated[int | None, typer.Option("--steps-per-epoch", min=1, help="Optimizer steps in an epoch.")]
ModelOption = Annotated[
    str | None, typer.Option("--model", help="module:factory, for names and shapes of the targets.")
]
RateOption = Annotated[float | None, typer.Option("--lr", help="The optimizer's rate.", show_default="shares of it")]
OutputOption = Annotated[Path | None, typer.Option("--output", "-o", help="Picture: .png, .svg, .pdf, or .html.")]
DarkOption = Annotated[bool, typer.Option("--dark", help="A dark .png or .pdf; .svg and .html follow the system.")]


def timeline(
    recipe: RecipeArgument,
    epochs: EpochsOption,
    steps_per_epoch: StepsOption = None,
    model: ModelOption = None,
    lr: RateOption = None,
    output: OutputOption = None,
    dark: DarkOption = False,
) -> None:
    """Show which policy of a recipe acts when, and the sparsity, λ and learning rate that it asks for.

    Nothing is trained: what depends on how training goes is marked so. Policies that never act are named first.
    """
    from prunus.cli import named_code
    from prunus.recipes import timeline as timelines
    from prunus.report.timeline import shown, timeline_picture

    network = None if model is None else named_code.model(model)
    policies = timelines.policies_of(recipe, network)
    counting = any(policy.when.unit == "step" for policy in policies)
    steps = STEPS if counting and steps_per_epoch is None else steps_per_epoch
    planned = timelines.plan(policies, epochs=epochs, steps_per_epoch=steps, model=network, lr=lr)
    console = _console()
    console.print(shown(planned, recipe.name, console.width), highlight=False)
    if steps != steps_per_epoch:
        console.print(f"policies count steps: {STEPS} an epoch are assumed, --steps-per-epoch says another number")
    if output is not None:
        with writing(output):
            timeline_picture(planned, output, name=recipe.name, dark=dark)
        console.print(f"picture  {output}", highlight=False, soft_wrap=True)


def _console() -> Console:
    console = Console()
    return console if console.is_terminal else Console(width=WIDTH)
