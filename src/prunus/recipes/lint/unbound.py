"""Policies at work without a model, so that the engine itself says what it thinks of their windows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from prunus.actions import Action, Bound, Moment, Site
from prunus.masks import MaskStore
from prunus.policy import Policy, RunningPolicy


@dataclass(frozen=True, eq=False)
class Unbound(Action):
    """An action as far as its window is concerned: it needs no model and does nothing.

    >>> from prunus.actions import SetLR
    >>> from prunus.schedules import Linear
    >>> Unbound(SetLR(Linear(0.5))).claims
    'the learning rate'
    """

    moment: ClassVar[Moment] = Moment.AFTER

    action: Action

    def __post_init__(self) -> None:
        """Take over what a window asks about."""
        for name in ("claims", "every_step", "needs_progress", "ramps", "unit"):
            object.__setattr__(self, name, getattr(self.action, name))

    @property
    def title(self) -> str:
        """That of the action."""
        return self.action.title

    def bind(self, site: Site) -> Bound:
        """Bind nothing."""
        return Bound([])


def running(policy: Policy) -> RunningPolicy:
    """Return the policy as the scheduler holds it, with nothing to act on.

    >>> from prunus.actions import Prune
    >>> from prunus.schedules import OneShot
    >>> running(Policy(Prune(OneShot(0.5)))).policy.name
    'Prune in epochs 0 to the end'
    """
    return RunningPolicy(Policy(Unbound(policy.action), policy.window), Site(nn.Module(), None, MaskStore([])))
