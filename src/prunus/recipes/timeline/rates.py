"""Learning rates, as the policies themselves set them on an optimizer of one weight."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isclose
from typing import Any, NamedTuple

import torch
from torch import nn

from prunus.actions import Site
from prunus.masks import MaskStore
from prunus.policy import Policy, RunningPolicy
from prunus.recipes.distiller.bound import PolicyBound


class Set(NamedTuple):
    """What one policy sets: a rate at each firing; and, if it sets one before, the epoch and the rate.

    >>> Set((1.0, 0.5)).opening is None
    True
    """

    values: tuple[float, ...]
    opening: tuple[float, float] | None = None


class _OneWeight(torch.optim.Optimizer):
    """Takes groups without torch's own way of it, which loads all of torch.compile first: a second, for nothing."""

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        self.param_groups.append({**self.defaults, **param_group})


def one_weight(lr: float) -> torch.optim.Optimizer:
    """Return an optimizer of one weight, which has rates and takes no steps.

    >>> one_weight(0.5).param_groups[0]["lr"]
    0.5
    """
    return _OneWeight([nn.Parameter(torch.zeros(1))], {"lr": lr, "momentum": 0.9})


def rates_of(
    policies: Mapping[int, Policy],
    events: Mapping[int, Sequence[int]],
    totals: Mapping[str, int | None],
    lr: float | None,
) -> dict[int, Set | None]:
    """Return what each policy sets, by the policy's number.

    Without ``lr`` rates are shares of the optimizer's; None stands for a policy whose rates are in no proportion to it.

    >>> from prunus.actions import SetLR
    >>> from prunus.schedules import Linear
    >>> from prunus.window import Window
    >>> policies = {0: Policy(SetLR(Linear(initial=1.0, final=0.5)), Window())}
    >>> rates_of(policies, {0: range(3)}, {"epoch": 3, "step": None}, lr=None)[0].values
    (1.0, 0.75, 0.5)
    """
    if lr is not None:
        return {**_played(policies, events, totals, lr)}
    once, twice = (_played(policies, events, totals, base) for base in (1.0, 2.0))
    return {place: found if _doubled(found, twice[place]) else None for place, found in once.items()}


def _played(
    policies: Mapping[int, Policy], events: Mapping[int, Sequence[int]], totals: Mapping[str, int | None], lr: float
) -> dict[int, Set]:
    """Let the policies act, in the order of their first firings, for no two act at the same time."""
    optimizer = one_weight(lr)
    site = Site(nn.Linear(1, 1), optimizer, MaskStore([]))
    actors = {place: RunningPolicy(policy, site) for place, policy in policies.items()}
    opened = {place: _begun(actor, totals, optimizer) for place, actor in actors.items()}
    ordered = sorted(actors, key=lambda place: (events[place][0], place))
    return {place: _fired(actors[place], events[place], opened[place], optimizer) for place in ordered}


def _begun(
    actor: RunningPolicy, totals: Mapping[str, int | None], optimizer: torch.optim.Optimizer
) -> tuple[float, float] | None:
    """Return the rate that a policy sets before the first step, if it sets one."""
    actor.resolve(totals)
    before = _rate(optimizer)
    actor.begin(0, 0)
    return (0.0, _rate(optimizer)) if _rate(optimizer) != before else None


def _fired(
    actor: RunningPolicy, events: Sequence[int], opening: tuple[float, float] | None, optimizer: torch.optim.Optimizer
) -> Set:
    bound, before = actor.bound, _rate(optimizer)
    if isinstance(bound, PolicyBound):
        bound.epoch_begin(events[0])
        opening = (float(events[0]), _rate(optimizer)) if _rate(optimizer) != before else opening
    values = []
    for time in events:
        actor.fire(time)
        if isinstance(bound, PolicyBound):
            bound.epoch_over(time, None)
        values.append(_rate(optimizer))
    return Set(tuple(values), opening)


def _rate(optimizer: torch.optim.Optimizer) -> float:
    return float(optimizer.param_groups[0]["lr"])


def _doubled(one: Set, other: Set) -> bool:
    """Say whether rates grow with the optimizer's own."""
    pairs = [*zip(one.values, other.values, strict=True)]
    pairs += [(one.opening[1], other.opening[1])] if one.opening and other.opening else []
    same = (one.opening is None) == (other.opening is None)
    return same and all(isclose(2.0 * first, second) for first, second in pairs)
