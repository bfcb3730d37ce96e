"""What is known of our own actions before they act."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache, singledispatch

from torch import nn

from prunus.actions import Adaptive, Prune, Regularize, Rewire, SetLR, Steer
from prunus.keep import pruned_count
from prunus.recipes.timeline.forecast import Asked, Forecast, forecast
from prunus.recipes.timeline.records import Quantity
from prunus.recipes.timeline.words import factor, group, level, number, ramp, registered, rise, selection
from prunus.schedules import Schedule
from prunus.scopes import SCOPES
from prunus.select import Select, Target, targets
from prunus.steering import FeedbackLoop, QuantileLambda, SparsityBudget, Steering
from prunus.steering._loop import target_at

STEERED = ("the regularized weights",)
REACHED = "the sparsity reached"


@forecast.register
def of_prune(action: Prune, model: nn.Module | None = None) -> Forecast:
    """Return the sparsities of the schedule, shared among the targets as the scope says.

    >>> from prunus.schedules import OneShot
    >>> of_prune(Prune(OneShot(0.9)), nn.Linear(2, 2)).targets
    ('weight',)
    """
    names, chosen = chosen_by(action.select, model)
    shared = [] if action.structure.budget else [registered(action.scope, SCOPES)]  # sets share by themselves
    words = [ramp(action.schedule), *group(action.structure), *shared]
    return Forecast("prune", ", ".join(words), names, tuple(_shared(action, names, chosen)))


def _shared(action: Prune, names: tuple[str, ...], chosen: Sequence[Target]) -> Iterator[Asked]:
    """Yield one curve for all, unless the scope gives each target a share that depends on its shape."""
    if action.scope.needs_shapes and chosen:
        share = lru_cache(maxsize=None)(_by_shape(action, chosen))
        for place, name in enumerate(names):
            yield Asked("sparsity", (name,), lambda firing, i=place: share(action.schedule(firing.progress))[i])  # type: ignore[misc]
        return
    sets = action.structure.budget
    if sets:
        yield Asked("sparsity", names, lambda firing: pruned_count(action.schedule(firing.progress), sets) / sets)
        return
    pools = action.scope.allot([1, 1], 0.0, shapes=[(1, 1), (1, 1)])
    together = action.scope.needs_shapes or len(pools) == 1
    yield Asked("sparsity", names, lambda firing: action.schedule(firing.progress), together)


def _by_shape(action: Prune, chosen: Sequence[Target]) -> Callable[[float], list[float]]:
    """Return the share of groups that goes of each target, as a function of the share that goes of all."""
    shapes = [tuple(target.canonical(target.parameter).shape) for target in chosen]
    sizes = [action.structure.groups(shape) for shape in shapes]

    def shares(asked: float) -> list[float]:
        pools = action.scope.allot(sizes, asked, shapes=shapes)
        kept = {pool.indices[0]: pool.keep for pool in pools}
        return [1.0 - kept[place] / max(1, size) for place, size in enumerate(sizes)]

    return shares


@forecast.register
def of_rewire(action: Rewire, model: nn.Module | None = None) -> Forecast:
    """Return the share of the living that moves; sparsities stay.

    >>> of_rewire(Rewire()).words
    '30 → 0 % of the living move'
    """
    moving = f"{rise(action.fraction.initial, action.fraction.final)} of the living move"
    return Forecast("rewire", ", ".join([moving, *group(action.structure)]), chosen_by(action.select, model)[0])


@forecast.register
def of_set_lr(action: SetLR, model: nn.Module | None = None) -> Forecast:
    """Return the factors, shares of the optimizer's learning rate.

    >>> from prunus.schedules import Cosine
    >>> of_set_lr(SetLR(Cosine(final=0.0, initial=1.0))).words
    '× 1 → 0, cosine'
    """
    asked = Asked("rate", (), lambda firing: action.schedule(firing.progress))
    return Forecast("rate", factor(action.schedule), asked=(asked,))


@forecast.register
def of_regularize(action: Regularize, model: nn.Module | None = None) -> Forecast:
    """Return λ, which rests unless a steering moves it.

    >>> from prunus.regularizers import RegL1
    >>> of_regularize(Regularize(RegL1(1e-4))).words
    'RegL1, λ 0.0001'
    """
    names, name = chosen_by(action.select, model)[0], type(action.regularizer).__name__
    if action.steering is not None:
        known = steered(action.steering, names)
        return replace(known, kind="regularize", words=f"{name}, {known.words}", targets=names)
    strength = float(action.regularizer.lamda)
    asked = Asked("lamda", names, lambda firing: strength, lasts=False)
    return Forecast("regularize", f"{name}, λ {number(strength)}", names, (asked,))


@forecast.register
def of_steer(action: Steer, model: nn.Module | None = None) -> Forecast:
    """Return what the steering seeks.

    >>> of_steer(Steer(SparsityBudget(0.9))).targets
    ('the regularized weights',)
    """
    return steered(action.steering, STEERED)


@forecast.register
def of_adaptive(action: Adaptive, model: nn.Module | None = None) -> Forecast:
    """Return the ends of the action's schedule: the way between them is decided by a metric.

    >>> from prunus.schedules import Linear
    >>> of_adaptive(Adaptive(Prune(Linear(0.9)), metric="accuracy", budget=0.01)).words
    'by accuracy: 0 → 90 %, linear, global'
    """
    inner = forecast(action.action, model)
    moved = {asked.quantity for asked in inner.asked}
    judge = f"{action.metric} within {number(action.budget)}"
    return replace(inner, words=f"by {action.metric}: {inner.words}", asked=(), decided=dict.fromkeys(moved, judge))


@singledispatch
def steered(steering: Steering, names: tuple[str, ...]) -> Forecast:
    """Return what is known of a steering; of one of your own, that it decides λ while training.

    >>> steered(SparsityBudget(0.9), ("fc.weight",)).words
    'exactly 0 → 90 %, cubic'
    """
    return Forecast("steer", type(steering).__name__, names, (), {"lamda": "the steering"})


@steered.register
def of_feedback(steering: FeedbackLoop, names: tuple[str, ...]) -> Forecast:
    """Return the target of each epoch, which λ seeks.

    >>> from prunus.steering import LambdaScheduler
    >>> of_feedback(LambdaScheduler(1e-2, 0.9), ("fc.weight",)).words
    'λ from 0.01 seeks 90 %'
    """
    target = steering.target_sparsity
    sought = Asked("sought", names, lambda firing: target_at(target, firing.epoch), together=True, lasts=False)
    last = target_at(target, 10**9)
    words = f"λ from {number(steering.initial_lambda)} seeks {rise(target_at(target, 0), last)}"
    return Forecast("steer", words, names, (sought,), {"lamda": REACHED})


@steered.register
def of_budget(steering: SparsityBudget, names: tuple[str, ...]) -> Forecast:
    """Return the exact sparsity of every step; λ is the optimizer's, or rises from it.

    >>> of_budget(SparsityBudget(0.9), ("fc.weight",)).words
    'exactly 0 → 90 %, cubic'
    """
    assert steering.schedule is not None
    asked = Asked("sparsity", names, lambda firing: steering.sparsity_at(firing.progress), together=True, lasts=False)
    decided: dict[Quantity, str] = (
        {"lamda": f"+ {number(steering.rise)} learning rates a step"} if steering.rise else {}
    )
    return Forecast("steer", f"exactly {ramp(steering.schedule)}", names, (asked,), decided)


@steered.register
def of_quantile(steering: QuantileLambda, names: tuple[str, ...]) -> Forecast:
    """Return the exact sparsity of every step; λ is what leaves it.

    >>> of_quantile(QuantileLambda(0.9), ("fc.weight",)).words
    'λ that leaves 90 %'
    """
    schedule: Schedule | None = steering.schedule
    words = f"λ that leaves {level(steering.target) if schedule is None else ramp(schedule)}"
    asked = Asked("sparsity", names, lambda firing: steering.sparsity_at(firing.progress), together=True, lasts=False)
    return Forecast("steer", words, names, (asked,), {"lamda": "the duals"})


def chosen_by(select: Select, model: nn.Module | None) -> tuple[tuple[str, ...], list[Target]]:
    """Return the names of what a selection chooses, and the targets; without a model, its patterns and nothing.

    >>> chosen_by(Select(), None), chosen_by(Select(), nn.Linear(2, 2))[0]
    ((('all weights',), []), ('weight',))
    """
    if model is None:
        return selection(select), []
    chosen = targets(model, select)
    return tuple(target.name for target in chosen), chosen
