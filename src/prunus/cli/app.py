"""The application and its entry point; what a command needs is imported when it runs, so that ``--help`` is quick."""

from __future__ import annotations

import os
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

import prunus
from prunus.cli.compare import compare
from prunus.cli.convert import convert
from prunus.cli.demo import demo
from prunus.cli.fuse import fuse
from prunus.cli.inspect_file import inspect
from prunus.cli.lint import lint
from prunus.cli.schema import schema
from prunus.cli.sensitivity import sensitivity
from prunus.cli.timeline import timeline
from prunus.cli.train import SETTINGS, train
from prunus.errors import PrunusError

app = typer.Typer(
    name="prunus",
    help="Make neural networks small while they train.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(compare)
app.command()(convert)
app.command()(demo)
app.command()(fuse)
app.command()(inspect)
app.command()(lint)
app.command()(schema)
app.command()(sensitivity)
app.command()(timeline)
app.command(context_settings=SETTINGS)(train)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"prunus {prunus.__version__}")
        raise typer.Exit


@app.callback()
def prunus_command(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """Make neural networks small while they train."""


def main() -> None:
    """Run the command line; an error that prunus raised on purpose is printed as a sentence, with exit status 1.

    >>> import sys
    >>> sys.argv = ["prunus", "--version"]
    >>> main()
    Traceback (most recent call last):
        ...
    SystemExit: 0
    """
    # Threads that spin while they wait make training ten times slower on a machine that is busy with something else.
    # OpenMP reads this when torch is loaded, which no command has done yet.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        app()
    except PrunusError as error:
        Console(stderr=True).print(Text.assemble(("error  ", "bold red"), str(error)))
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
