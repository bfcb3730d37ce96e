"""What rules look at: the policies of a recipe in either language, with their places, and the run and model at hand."""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import combinations
from typing import NamedTuple

from torch import nn

from prunus.actions import Action, Adaptive
from prunus.errors import PrunusError
from prunus.policy import Policy
from prunus.recipes.distiller.goals import Goal
from prunus.recipes.faults import Fault, Place, Severity
from prunus.recipes.languages import Language
from prunus.recipes.nodes import Node
from prunus.select import Target
from prunus.structures import Structure
from prunus.window import Span

TIMING = ("window", "starting_epoch", "epochs")
"""Where the two languages say when."""


class Run(NamedTuple):
    """How long the run will be, as far as that is known.

    >>> Run(epochs=20, steps_per_epoch=100).totals
    {'epoch': 20, 'step': 2000}
    """

    epochs: int | None = None
    steps_per_epoch: int | None = None

    @property
    def totals(self) -> dict[str, int | None]:
        """The length in each unit of a window."""
        known = self.epochs is not None and self.steps_per_epoch is not None
        return {"epoch": self.epochs, "step": self.epochs * self.steps_per_epoch if known else None}  # type: ignore[operator]


UNKNOWN = Run()
"""A run of which nothing is known."""


@dataclass(frozen=True, eq=False)
class Act:
    """One policy as rules see it.

    Parameters: ``policy``; ``node``, where it is written; ``goals``, by the names or patterns of what it prunes;
    ``structure`` of what it prunes; ``strengths`` λ by name or pattern; ``targets`` in the model, if there is one;
    ``places`` of names that are written elsewhere.

    >>> from prunus.actions import Prune
    >>> from prunus.recipes.nodes import from_plain
    >>> from prunus.recipes.faults import Report
    >>> from prunus.schedules import Linear
    >>> written = {"prune": {"schedule": {"linear": {"final": 0.5}}}}
    >>> str(Act(Policy(Prune(Linear(0.5))), from_plain(written, Report())).at("final"))
    'prune.schedule.linear.final'
    """

    policy: Policy
    node: Node
    goals: Mapping[str, Goal] = field(default_factory=dict)
    structure: Structure | None = None
    strengths: Mapping[str, float] = field(default_factory=dict)
    targets: tuple[Target, ...] = ()
    places: Mapping[str, Place] = field(default_factory=dict)

    @property
    def action(self) -> Action:
        """What is done, whatever holds it back."""
        action = self.policy.action
        return action.action if isinstance(action, Adaptive) else action

    @property
    def timing(self) -> Place:
        """Where it says when."""
        return next((self.node.value[key].key.place for key in TIMING if key in self.node.value), self.node.place)

    @property
    def where(self) -> str:
        """Its place in a message about another."""
        place = self.node.place
        return f"line {place.line}" if place.line else place.keys

    def at(self, *keys: str | int) -> Place:
        """Return the place of the value that keys lead to, each looked for in all that is inside the one before.

        Keys that are not there are passed over: a default has no place, and then that of the whole counts.
        """
        node = self.node
        for key in keys:
            if isinstance(key, str) and key in self.places:
                return self.places[key]
            node = _inside(node, key) or node
        return node.place

    def span(self, run: Run) -> Span | None:
        """Return when it acts, or None where the run is not known well enough."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return self.policy.when.resolve(run.totals[self.policy.when.unit])
        except PrunusError:
            return None

    def firings(self, run: Run) -> range | tuple[int, ...]:
        """Return every firing, none where the run is not known well enough."""
        span = self.span(run)
        known = span is not None and span.end is not None
        return span.firings() if known else ()  # type: ignore[union-attr,return-value]


@dataclass(frozen=True)
class Draft:
    """A recipe as rules see it: its language, the policies that can be read, the run and the model.

    >>> list(Draft("native", ()).pairs())
    []
    """

    language: Language
    acts: tuple[Act, ...]
    run: Run = UNKNOWN
    model: nn.Module | None = None

    def pairs(self) -> Iterator[tuple[Act, Act]]:
        """Yield every two policies, the earlier in the file first."""
        return combinations(self.acts, 2)


def say(place: Place, message: str, suggestion: str = "", severity: Severity = "warning") -> Fault:
    """Return what a rule has found.

    >>> print(say(Place("recipe.yaml", 3, 5), "final is 0, so nothing is pruned", "Leave the policy out."))
    recipe.yaml:3:5: final is 0, so nothing is pruned. Leave the policy out.
    """
    return Fault(place, message, suggestion, severity)


def _inside(node: Node, key: str | int) -> Node | None:
    """Return what a key leads to, the outermost first."""
    queue = deque([node])
    while queue:
        value = queue.popleft().value
        if isinstance(value, dict):
            if key in value:
                return value[key].value  # type: ignore[no-any-return]
            queue += [pair.value for pair in value.values()]
        elif isinstance(value, list):
            if isinstance(key, int) and key < len(value):
                return value[key]  # type: ignore[no-any-return]
            queue += value
    return None
