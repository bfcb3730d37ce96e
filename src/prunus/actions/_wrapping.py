"""An action around another one: due when that is due, moving what that moves."""

from __future__ import annotations

from dataclasses import dataclass

from prunus.actions.base import Action, Moment


@dataclass(frozen=True)
class Wrapping(Action):
    """Base of actions that take another's place: they are due at its moments, in its unit, and claim what it claims.

    >>> from prunus.actions import Adaptive, Prune
    >>> from prunus.schedules import Linear
    >>> Adaptive(Prune(Linear(0.9)), metric="accuracy", budget=0.01).moments
    (<Moment.BEFORE: 'before'>,)
    """

    action: Action

    @property
    def moment(self) -> Moment:  # type: ignore[override]
        """That of the action."""
        return self.action.moment

    @property
    def moments(self) -> tuple[Moment, ...]:
        """Those of the action."""
        return self.action.moments

    @property
    def unit(self) -> str:  # type: ignore[override]
        """That of the action."""
        return self.action.unit

    @property
    def claims(self) -> str:  # type: ignore[override]
        """What the action moves."""
        return self.action.claims
