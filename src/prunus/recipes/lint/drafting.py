"""A file in either language to the draft that rules look at; what its own reader finds goes into the report."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from prunus.actions import Action, Prune, Regularize, Rewire
from prunus.errors import SelectionError
from prunus.policy import Policy
from prunus.recipes.distiller.goals import Goal
from prunus.recipes.faults import Report
from prunus.recipes.languages import Language
from prunus.recipes.lint.acts import UNKNOWN, Act, Draft, Run
from prunus.recipes.lint.foreign import acts_of_file
from prunus.recipes.nodes import Node
from prunus.recipes.reading import recipe_of
from prunus.recipes.sources import tree_of
from prunus.select import Select, Target, targets

Source = str | Path | Mapping[str, Any]


def draft_of(
    source: Source, language: Language, report: Report, run: Run = UNKNOWN, model: nn.Module | None = None
) -> Draft:
    """Return the policies that can be read; RecipeError where nothing can.

    >>> recipe = {"version": 1, "policies": [{"set_lr": {"schedule": {"linear": {"final": 0.5}}}}]}
    >>> draft_of(recipe, "native", Report()).acts[0].policy.name
    'SetLR in steps 0 to the end'
    """
    if language == "distiller":
        report.last_key_wins = True
        return Draft(language, acts_of_file(tree_of(source, report), report, model), run, model)
    recipe = recipe_of(source, {}, report)
    pairs = zip(recipe, recipe.nodes, strict=True)
    return Draft(language, tuple(_act(policy, node, model) for policy, node in pairs), run, model)


def _act(policy: Policy, node: Node, model: nn.Module | None) -> Act:
    bare = Act(policy, node)
    action = bare.action
    chosen = _chosen(action, model)
    if isinstance(action, Prune):
        goal = Goal(action.schedule(0.0), action.schedule(1.0))
        names = [target.name for target in chosen] or _patterns(action.select)
        return Act(policy, node, dict.fromkeys(names, goal), action.structure, targets=chosen)
    if isinstance(action, Regularize):
        strength = action.regularizer.lamda if action.regularizer.name != "none" else 0.0
        return Act(policy, node, strengths=dict.fromkeys(_patterns(action.select), strength), targets=chosen)
    return Act(policy, node, targets=chosen)


def _patterns(select: Select) -> list[str]:
    """Return what a selection calls its parameters; one that leaves some out calls them by all that it says."""
    plain = not (select.exclude or select.types)
    return list(select.include) if plain else [f"{list(select.include)} without {list(select.exclude)} {select.types}"]


def _chosen(action: Action, model: nn.Module | None) -> tuple[Target, ...]:
    if model is None or not isinstance(action, (Prune, Regularize, Rewire)):
        return ()
    try:
        return tuple(targets(model, action.select))
    except SelectionError:  # the rule no-match says so
        return ()
