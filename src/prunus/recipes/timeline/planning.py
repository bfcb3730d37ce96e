"""From policies and the length of a run to its timeline: no data, no training, and no model unless for names."""

from __future__ import annotations

import warnings
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace

from torch import nn

from prunus.actions import Action, Moment
from prunus.errors import NoEffect, require_count, require_number
from prunus.policy import Policy
from prunus.recipes.timeline.forecast import Asked, Values, forecast
from prunus.recipes.timeline.rates import Set, rates_of
from prunus.recipes.timeline.records import AFTER, BEFORE, DURING, Curve, Lane, Timeline
from prunus.recipes.timeline.understudy import spans
from prunus.recipes.timeline.words import window
from prunus.window import Span

OFFSETS = {Moment.BEFORE: BEFORE, Moment.AFTER: AFTER, Moment.DURING: DURING}
DEPENDS = "the optimizer's rate: say lr"


def plan(
    policies: Sequence[Policy | Action],
    *,
    epochs: int,
    steps_per_epoch: int | None = None,
    model: nn.Module | None = None,
    lr: float | None = None,
) -> Timeline:
    """Return who acts when in a run of so many epochs, and what each policy asks for at every firing.

    Windows are resolved by the scheduler itself, levels are those of the schedules, learning rates of Distiller's
    classes those that they set on an optimizer of one weight; so training does the same. What depends on how training
    goes, such as λ under a controller, is named as decided while training.

    Args:
        policies: policies, or bare actions for the whole run: a recipe, or those of ``scheduler.policies``.
        epochs: length of the run.
        steps_per_epoch: optimizer steps in an epoch; needed where a policy counts steps.
        model: for the names of the targets, and for scopes that go by their shapes.
        lr: the learning rate of the optimizer; without it, rates are shares of it.

    Raises:
        RunError: a policy counts steps, and steps_per_epoch is missing. SettingError: two policies move the same thing
        at the same time. SelectionError: a pattern matches nothing in the model.

    >>> from prunus.actions import Prune
    >>> from prunus.schedules import Linear
    >>> from prunus.window import Window
    >>> lane = plan([Policy(Prune(Linear(0.9)), Window(1, 8, frequency=3))], epochs=6).lanes[0]
    >>> list(lane.events), lane.curves[0].values[:], lane.warning
    ([1, 4], (0.0, 0.45), 'comes to 50 % of its way: the run ends before epoch 7')
    """
    require_count("epochs", epochs)
    if lr is not None:
        require_number("lr", lr, 0.0)
    wanted = [Policy(one) if isinstance(one, Action) else one for one in policies]
    frame = Timeline((), epochs, steps_per_epoch, lr)
    found = spans(wanted, epochs, steps_per_epoch)
    lanes = [_lane(*one, frame, model) for one in zip(wanted, found, strict=True)]
    return Timeline(tuple(_with_rates(wanted, lanes, frame)), epochs, steps_per_epoch, lr)


def _lane(policy: Policy, span: Span, frame: Timeline, model: nn.Module | None) -> Lane:
    """Return a policy over the run."""
    unit, known = policy.when.unit, forecast(policy.action, model)
    each = 1 if unit == "epoch" else frame.steps_per_epoch or 1
    total = frame.epochs * each
    fires = span.firings()
    events = fires[: bisect_left(fires, total)]
    return Lane(
        policy.action.title,
        known.words,
        known.kind,
        window(span, unit),
        unit,
        events,
        (span.start / each, min(total, span.end or total) / each),
        OFFSETS[policy.action.moment],
        known.targets,
        tuple(_curve(one, span, events, each, frame.start) for one in known.asked),
        known.decided,
        _warning(policy, span, total),
    )


def _curve(one: Asked, span: Span, events: Sequence[int], each: int, lr: float) -> Curve:
    """Return what is asked for at every firing; of learning rates the asked shares of ``lr``."""
    value = (lambda firing: lr * one.value(firing)) if one.quantity == "rate" else one.value
    return Curve(one.quantity, one.targets, Values(value, span, events, each), one.together, one.lasts)


def _warning(policy: Policy, span: Span, total: int) -> str:
    """Return what is wrong with a policy in a run of this length, or nothing."""
    unit, fires = policy.when.unit, span.firings()
    if span.start >= total:
        return f"never acts: begins with {unit} {span.start}, and the run has {total} {unit}s"
    if policy.action.needs_progress and policy.action.ramps and not span.reaches_final(total):
        way = span.progress(fires[bisect_left(fires, total) - 1])
        return f"comes to {100 * way:.0f} % of its way: the run ends before {unit} {fires[-1]}"
    return ""


def _with_rates(policies: Sequence[Policy], lanes: Sequence[Lane], frame: Timeline) -> list[Lane]:
    """Return the lanes, with the learning rates of those whose actions have to be asked."""
    asked = [one.kind == "rate" and one.acts and not (one.curves or one.decided) for one in lanes]
    setting = [place for place, sets in enumerate(asked) if sets]
    steps = frame.epochs * frame.steps_per_epoch if frame.steps_per_epoch else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoEffect)  # the lanes say it
        found = rates_of(
            {place: policies[place] for place in setting},
            {place: lanes[place].events for place in setting},
            {"epoch": frame.epochs, "step": steps},
            frame.rate,
        )
    return [_with_rate(lane, found[place]) if place in found else lane for place, lane in enumerate(lanes)]


def _with_rate(lane: Lane, found: Set | None) -> Lane:
    if found is None:
        return replace(lane, decided={"rate": DEPENDS})
    return replace(lane, curves=(*lane.curves, Curve("rate", (), found.values, opening=found.opening)))
