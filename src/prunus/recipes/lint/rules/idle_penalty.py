"""idle-penalty: a regularizer of strength 0."""

from __future__ import annotations

from collections.abc import Iterator

from prunus.actions import Regularize
from prunus.recipes.faults import Fault
from prunus.recipes.lint.acts import Draft, say


def idle_penalty(draft: Draft) -> Iterator[Fault]:
    """A regularizer charges nothing: λ is 0 and nothing moves it, or it is ``none``.

    >>> list(idle_penalty(Draft("native", ())))
    []
    """
    for act in draft.acts:
        steered = isinstance(act.action, Regularize) and act.action.steering is not None
        for name, strength in act.strengths.items():
            if strength == 0.0 and not steered:
                yield say(act.at(name, "lamda"), f"λ is 0, so it adds nothing to the loss{_of(name)}", "Leave it out.")


def _of(name: str) -> str:
    return "" if "*" in name else f" for {name}"
