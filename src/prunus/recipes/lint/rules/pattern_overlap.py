"""pattern-overlap: a pattern that adds nothing to those before it, or takes nothing away."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torch import nn

from prunus.errors import SelectionError
from prunus.recipes.faults import Fault
from prunus.recipes.lint.acts import Act, Draft, say
from prunus.recipes.lint.rules.no_match import selection
from prunus.select import Select, explain


def pattern_overlap(draft: Draft) -> Iterator[Fault]:
    """A pattern includes only what others include too, or excludes only what stays out in any case.

    >>> list(pattern_overlap(Draft("native", ())))
    []
    """
    for act in draft.acts if draft.language == "native" else ():
        select = selection(act.action)
        if select is not None and draft.model is not None and act.targets:
            yield from _included(act, select.include, draft.model)
            yield from _excluded(act, select, draft.model)


def _included(act: Act, patterns: Sequence[str], model: nn.Module) -> Iterator[Fault]:
    """Of patterns that match the same, the later ones are too many."""
    matched = [_names(model, Select((one,), biases=True)) for one in patterns]
    for at in reversed(range(len(patterns))):
        others = set().union(*matched[:at], *matched[at + 1 :])
        if matched[at] and matched[at] <= others:
            matched[at] = set()
            message = f"include {patterns[at]!r} matches nothing that the other patterns do not match"
            yield say(act.at("select", "include", at), message, "Leave it out.")


def _excluded(act: Act, select: Select, model: nn.Module) -> Iterator[Fault]:
    taking = _names(model, Select(select.include, (), select.types, select.min_elements, select.biases))
    for at, one in enumerate(select.exclude):
        if not taking & _names(model, Select((one,), biases=True)):
            message = f"exclude {one!r} takes out nothing that include lets in"
            yield say(act.at("select", "exclude", at), message, "Leave it out.")


def _names(model: nn.Module, select: Select) -> set[str]:
    try:
        return {choice.target.name for choice in explain(model, select) if choice.chosen}
    except SelectionError:
        return set()
