"""``prunus schema``: the JSON Schema of recipes, for editors."""

from __future__ import annotations

import json

import typer


def schema() -> None:
    """Print the JSON Schema of recipes; editors complete and check with it."""
    from prunus.recipes import json_schema

    typer.echo(json.dumps(json_schema(), indent=2, ensure_ascii=False))
