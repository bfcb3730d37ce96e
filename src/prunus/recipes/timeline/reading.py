"""Recipes of either language to policies, with a model or without."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from prunus.policy import Policy
from prunus.recipes import distiller
from prunus.recipes.distiller.contract import Chosen
from prunus.recipes.distiller.document import lines_of
from prunus.recipes.distiller.fitting import action_of
from prunus.recipes.distiller.meeting import check_lines, with_levels
from prunus.recipes.faults import Report
from prunus.recipes.languages import language_of
from prunus.recipes.reading import load
from prunus.recipes.sources import tree_of
from prunus.recipes.timeline.rates import one_weight


def policies_of(source: str | Path | Mapping[str, Any], model: nn.Module | None = None) -> list[Policy]:
    """Return the policies of a recipe, native or Distiller's; with a model, Distiller's names are looked up in it.

    Raises:
        RecipeError: everything that is wrong with the recipe.

    >>> policies = policies_of({
    ...     "lr_schedulers": {"decay": {"class": "ExponentialLR", "gamma": 0.9}},
    ...     "policies": [{"lr_scheduler": {"instance_name": "decay"}, "epochs": [3]}],
    ... })
    >>> print(policies[0].name)
    ExponentialLR in epochs 3
    """
    if language_of(source) == "native":
        return load(source)
    if model is not None:
        return [one.policy for one in distiller.load(model, one_weight(1.0), source).policies]
    report = Report(last_key_wins=True)
    lines = lines_of(tree_of(source, report), report)
    check_lines(lines, report)
    report.finish()
    lines = [with_levels(line, report) for line in lines]
    return [Policy(action_of(line, Chosen({}), line.window.resolve(None)), line.window) for line in lines]
