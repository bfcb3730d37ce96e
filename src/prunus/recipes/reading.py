"""A recipe to policies."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from prunus.actions import ACTIONS, Action
from prunus.errors import NoEffect, RecipeError, SettingError
from prunus.policy import Policy
from prunus.recipes.building import UNREADABLE, named, read
from prunus.recipes.faults import Fault, Report, shown
from prunus.recipes.including import gather
from prunus.recipes.kinds import SECTIONS, noun, settings_of
from prunus.recipes.nodes import LOST, Node
from prunus.recipes.recipe import Recipe
from prunus.recipes.references import Resolver, override
from prunus.recipes.respelling import respelt
from prunus.recipes.sections import VARIABLES


def load(source: str | Path | Mapping[str, Any], *, variables: Mapping[str, Any] | None = None) -> Recipe:
    """Read a recipe: policies written as plain YAML, whose keys are the settings of the members.

    A recipe has ``version: 1`` and ``policies``, a list; each policy is one action (a name in ``ACTIONS``) with its
    settings, and possibly a ``window`` (start, end, frequency, unit). A member of a family is its registry name with
    its settings, ``cubic: {final: 0.9}``, or the name alone, ``magnitude``. Besides, a recipe may ``include`` other
    recipes, and give names to ``variables`` and to parts, which ``$name`` then stands for (docs/recipes.md).

    Args:
        source: path of a file in UTF-8; or YAML text, which is a string with a line break; or the same as a mapping.
        variables: values in the place of the recipe's own, by name.

    Returns:
        The policies: a list, whose ``to_yaml()`` writes them back.

    Raises:
        RecipeError: everything that is wrong, each fault as file:line:column (for a mapping: the keys that lead there),
            what was found and what was expected. Nothing in a recipe is ever executed; tags are refused, as are files
            above 1 MB, more than 10,000 values (repeated ones included) and more than 32 levels.

    A part that nothing uses is warned of (NoEffect). Use the result with ``CompressionScheduler(model, policies, ...)``
    or any other front door that takes policies. Every call builds new members, so two runs share nothing.

    >>> load('''
    ... version: 1
    ... variables: {final: 0.9}
    ... policies:
    ...   - prune:
    ...       schedule: {cubic: {final: $final}}
    ...       scope: per_layer
    ...     window: {start: 2, end: 10}
    ... ''', variables={"final": 0.8})[0].action.schedule
    Cubic(final=0.8, initial=0.0)
    >>> load('''
    ... version: 1
    ... policies:
    ...   - prune: {schedule: {cubik: {final: 0.9}}, scoop: global}
    ... ''')
    Traceback (most recent call last):
        ...
    prunus.errors.RecipeError: the recipe cannot be used:
    - <text>:4:24: unknown schedule 'cubik'. Did you mean 'cubic'?
    - <text>:4:46: unknown key 'scoop' of prune. Did you mean 'scope'?
    """
    report = Report()
    recipe = recipe_of(source, variables or {}, report)
    report.finish()
    for fault in recipe.warnings:
        warnings.warn(str(fault), NoEffect, stacklevel=2)
    return recipe


def check(source: str | Path | Mapping[str, Any], *, variables: Mapping[str, Any] | None = None) -> list[Fault]:
    """Return everything that is wrong with a recipe, errors and warnings, in the order of the file; raise nothing.

    >>> [(fault.line, fault.severity, fault.rename) for fault in check("version: 1\\npolices: []\\n")]
    [(2, 'error', Rename(old='polices', new='policies')), (2, 'error', None)]
    """
    report = Report()
    with suppress(RecipeError):
        recipe_of(source, variables or {}, report)
    return report.in_order()


def recipe_of(source: str | Path | Mapping[str, Any], variables: Mapping[str, Any], report: Report) -> Recipe:
    """Return what can be read of a recipe, policies with faults left out; every fault goes into the report.

    >>> report = Report()
    >>> len(recipe_of({"version": 1, "policies": [{"crop": {}}]}, {}, report)), len(report.found)
    (0, 1)
    """
    document = gather(source, report)
    override(document, variables, report)
    resolver = Resolver(document, report)
    parts: dict[str, dict[str, Any]] = {section: {} for section in SECTIONS}
    for name, one in document.definitions.items():
        node = resolver.definition(name)
        if one.section != VARIABLES:
            parts[one.section][name] = read(node, SECTIONS[one.section], name, report)
    nodes = [resolver.resolve(node) for node in document.policies]
    read_in = [(policy, node) for node in nodes if (policy := _policy(node, report)) is not None]
    _report_unused(resolver, report)
    return Recipe([policy for policy, _ in read_in], parts, [node for _, node in read_in], report.in_order())


def _report_unused(resolver: Resolver, report: Report) -> None:
    """A variable that nothing reads is an error, for whoever sets it expects something; a spare part may lie about."""
    for name, one in resolver.unused():
        if one.section == VARIABLES:
            report.add(one.place, f"nothing uses the variable {shown(name)}", code="unused")
        else:
            said = f"nothing uses the {noun(SECTIONS[one.section])} {shown(name)}"
            report.add(one.place, said, severity="warning", code="unused")


def _policy(node: Node, report: Report) -> Policy | None:
    if node.value is LOST:
        return None
    if not isinstance(node.value, dict):
        known = ", ".join(ACTIONS)
        report.add(
            node.place,
            f"a policy is {node.found}, expected a mapping with one action ({known}) and a window",
            code="wrong-type",
        )
        return None
    beside = {key: setting for key, setting in settings_of(Policy).items() if key != "action"}
    node = _checked(node, [*beside], report)
    actions = [_action(key, node, report) for key in node.value if key in ACTIONS or key == "action"]
    rest = {key: read(pair.value, beside[key].kind, key, report) for key, pair in node.value.items() if key in beside}
    if len(actions) != 1 or UNREADABLE in [*actions, *rest.values()]:
        return None
    try:
        return Policy(actions[0], **rest)
    except SettingError as error:
        report.add(node.place, str(error), code="bad-value")
        return None


def _action(key: str, node: Node, report: Report) -> Any:
    """Read an action by its registered name, or, after ``action``, by the name that the recipe gave it."""
    pair = node.value[key]
    return named(pair, Action, report) if key in ACTIONS else read(pair.value, Action, key, report)


def _checked(node: Node, beside: list[str], report: Report) -> Node:
    """Return the policy with the keys that were meant; it has one action."""
    known = [*ACTIONS, "action", *beside]
    value = respelt(node.value, known, lambda key: f"unknown key {shown(key)} of a policy", report)
    found = [pair.key for key, pair in value.items() if key not in beside]
    if len(found) > 1:
        names = " and ".join(key.value for key in found)
        text = f"a policy has one action, found {names}; write each as a policy of its own"
        report.add(found[1].place, text)
    if not found and set(node.value) <= {*known}:  # else a misspelt key may be what is missing
        report.add(node.place, f"a policy has no action, expected one of {', '.join(ACTIONS)}", code="missing")
    return replace(node, value=value)
