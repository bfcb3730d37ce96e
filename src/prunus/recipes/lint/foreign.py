"""Distiller's files to acts."""

from __future__ import annotations

from torch import nn

from prunus.policy import Policy
from prunus.recipes.distiller.charging import Charging
from prunus.recipes.distiller.contract import Chosen, Component
from prunus.recipes.distiller.document import Line, lines_of
from prunus.recipes.distiller.fitting import Fitting, action_of
from prunus.recipes.distiller.goals import goals_of, structure_of
from prunus.recipes.distiller.meeting import check_lines, with_levels
from prunus.recipes.distiller.names import unwrapped
from prunus.recipes.faults import Report
from prunus.recipes.lint.acts import Act
from prunus.recipes.nodes import Node


def acts_of_file(root: Node, report: Report, model: nn.Module | None) -> tuple[Act, ...]:
    """Return an act for each line that can be read, fitted to the model if there is one.

    >>> from prunus.recipes.nodes import from_plain
    >>> acts_of_file(from_plain({"policies": []}, Report()), Report(), None)
    ()
    """
    lines = lines_of(root, report)
    lists = [pair.value.value for pair in root.value.values() if isinstance(pair.value.value, list)]
    nodes = {node.place: node for policies in lists for node in policies}  # the key may be misspelt
    if model is None:
        check_lines(lines, report)
        return tuple(_act(line, nodes[line.place], None) for line in lines)
    fitting = Fitting(model, None, report)
    fitting.policies(lines)
    return tuple(_act(line, nodes[line.place], fitting.choose(line)) for line in lines)


def _act(line: Line, node: Node, chosen: Chosen | None) -> Act:
    component = with_levels(line, Report()).component
    found = chosen or Chosen({})
    called = {name: target.name for name, target in found.named.items()}
    goals = {called.get(name, unwrapped(name)): goal for name, goal in goals_of(component).items()}
    policy = Policy(action_of(line, found, line.window.resolve(None)), line.window)
    strengths = {} if chosen else _strengths(component)  # in a model its own fit says what charges nothing
    return Act(policy, node, goals, structure_of(component), strengths, tuple(found.all), line.places)


def _strengths(component: Component) -> dict[str, float]:
    return {name: one.strength for name, one in component.regimes.items()} if isinstance(component, Charging) else {}
