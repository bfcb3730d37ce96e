"""``prunus lint``: all that is wrong with recipes, before a run."""

from __future__ import annotations

import json
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from prunus.cli import named_code
from prunus.cli.outputs import writing
from prunus.errors import SettingError

if TYPE_CHECKING:
    from torch import nn

    from prunus.recipes.lint import Change, Findings


class Format(str, Enum):
    """How findings are written.

    >>> [one.value for one in Format]
    ['text', 'json']
    """

    text = "text"
    json = "json"


RecipesArgument = Annotated[
    list[Path], typer.Argument(help="Recipes, native or Distiller's.", exists=True, dir_okay=False, metavar="RECIPE...")
]
ModelOption = Annotated[
    str | None, typer.Option("--model", help="module:factory that makes the model; names and groups are looked up.")
]
EpochsOption = Annotated[int | None, typer.Option("--epochs", min=1, help="Length of the run, for windows past it.")]
StepsOption = Annotated[int | None, typer.Option("--steps-per-epoch", min=1, help="For windows that count steps.")]
FormatOption = Annotated[Format, typer.Option("--format", help="json is for programs.")]
FixOption = Annotated[bool, typer.Option("--fix", help="Put names right where only one can have been meant.")]


def lint(
    recipes: RecipesArgument,
    model: ModelOption = None,
    epochs: EpochsOption = None,
    steps_per_epoch: StepsOption = None,
    output: FormatOption = Format.text,
    fix: FixOption = False,
) -> None:
    """Find everything that is wrong with recipes, and what in them changes nothing, each with its line.

    Leaves with status 0 without errors (warnings may be there), 1 with errors, 2 when called wrongly.
    """
    from prunus.recipes import lint as linting

    network = model_of(model)
    changes = []
    for path in recipes if fix else ():
        with writing(path):
            changes += linting.fix(path, model=network)
    found = {
        path: linting.lint(path, model=network, epochs=epochs, steps_per_epoch=steps_per_epoch) for path in recipes
    }
    if output is Format.json:
        typer.echo(json.dumps(as_json(found, changes), indent=2, ensure_ascii=False))
    else:
        _print(found, changes)
    raise typer.Exit(int(any(findings.count("error") for findings in found.values())))


def model_of(text: str | None) -> nn.Module | None:
    """Return the model that an option names, if it is given; one that leads nowhere is a wrong call.

    >>> model_of(None) is None
    True
    """
    if text is None:
        return None
    try:
        return named_code.model(text)
    except SettingError as fault:
        raise typer.BadParameter(str(fault), param_hint="--model") from fault


def as_json(found: dict[Path, Findings], changes: list[Change]) -> dict[str, Any]:
    """Return findings as plain values.

    >>> from prunus.recipes.lint import Findings
    >>> as_json({Path("a.yaml"): Findings("native", ())}, [])
    {'recipes': [{'recipe': 'a.yaml', 'language': 'native', 'findings': []}], 'fixed': []}
    """
    listed = [
        {
            "recipe": str(path),
            "language": findings.language,
            "findings": [fault.as_dict() for fault in findings.faults],
        }
        for path, findings in found.items()
    ]
    return {"recipes": listed, "fixed": [str(change.file) for change in changes]}


def _print(found: dict[Path, Findings], changes: list[Change]) -> None:
    from prunus.cli import findings as shown
    from prunus.recipes.lint import fixable, texts_of

    console = Console(highlight=False)
    for change in changes:
        for line in shown.differences(change):
            console.print(line, soft_wrap=True)
        console.print()
    for path, findings in found.items():
        shown.show(findings, texts_of(path, findings), console)
    for path, findings in found.items():
        offer = shown.offer(findings, fixable(findings.faults))
        console.print(shown.summary(str(path), findings).append(offer), soft_wrap=True)
