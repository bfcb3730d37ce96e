"""What is known of Distiller's classes before they act."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import singledispatch

from torch import nn

from prunus.recipes.distiller.charging import Charging
from prunus.recipes.distiller.contract import Chosen, Component, Pruner, Regularizer
from prunus.recipes.distiller.extending import ActOnce
from prunus.recipes.distiller.keyed import ALL, by_target
from prunus.recipes.distiller.lr_schedulers.plateau import ReduceLROnPlateau
from prunus.recipes.distiller.pruners.agp import AutomatedGradualPruner
from prunus.recipes.distiller.pruners.bernoulli import Bernoulli
from prunus.recipes.distiller.pruners.level import SparsityLevelParameterPruner
from prunus.recipes.distiller.pruners.random_level import RandomLevelStructureParameterPruner
from prunus.recipes.distiller.pruners.sensitivity import SensitivityPruner
from prunus.recipes.distiller.pruning import PruneByRule
from prunus.recipes.distiller.rating import RateByEpoch
from prunus.recipes.distiller.regularizing import RegularizeByRule
from prunus.recipes.distiller.structured import Gradual, Settled, StructuredPruner
from prunus.recipes.timeline.forecast import Asked, Firing, Forecast, forecast
from prunus.recipes.timeline.rates import one_weight
from prunus.recipes.timeline.records import Quantity
from prunus.recipes.timeline.words import between, level, number, rise
from prunus.schedules import Cubic, OneShot, Schedule

OTHERS = "every other parameter"
Levels = Mapping[tuple[str, ...], Schedule]


@forecast.register
def of_pruner(action: PruneByRule, model: nn.Module | None = None) -> Forecast:
    """Return the sparsities that a pruner states; those of thresholds and draws are found while training."""
    names = names_of(action.pruner, action.chosen)
    words, levels = stated(action.pruner, action.chosen)
    if not levels:
        return Forecast("prune", words, names, (), {"sparsity": "the weights"})
    lasts = action.args.keep_mask or not action.args.mask_on_forward_only
    asked = [Asked("sparsity", targets, _along(schedule), lasts=lasts) for targets, schedule in levels.items()]
    return Forecast("prune", words, names, tuple(asked))


def _along(schedule: Schedule) -> Callable[[Firing], float]:
    return lambda firing: schedule(firing.progress)


@singledispatch
def stated(pruner: Pruner, chosen: Chosen) -> tuple[str, Levels]:
    """Return in words what a pruner does, and the schedules that it states, if it states some.

    >>> from prunus.recipes.distiller.pruners import MagnitudeParameterPruner
    >>> stated(MagnitudeParameterPruner({"*": 0.1}), Chosen({}))
    ('by threshold', {})
    """
    return "by threshold", {}


@stated.register
def of_agp(pruner: AutomatedGradualPruner, chosen: Chosen) -> tuple[str, Levels]:
    """Return the cubic of a gradual pruner.

    >>> of_agp(AutomatedGradualPruner(0.1, 0.9, "fc.weight"), Chosen({}))[0]
    '10 → 90 %, cubic'
    """
    return _rising(pruner, chosen, Cubic(pruner.final_sparsity, pruner.initial_sparsity))


@stated.register
def of_gradual(pruner: Gradual, chosen: Chosen) -> tuple[str, Levels]:
    """Return the cubic of a gradual pruner of structures."""
    return _rising(pruner, chosen, Cubic(pruner.final_sparsity, pruner.initial_sparsity))


@stated.register
def of_settled(pruner: Settled, chosen: Chosen) -> tuple[str, Levels]:
    """Return the one sparsity."""
    return _rising(pruner, chosen, OneShot(pruner.desired_sparsity))


@stated.register
def of_random_level(pruner: RandomLevelStructureParameterPruner, chosen: Chosen) -> tuple[str, Levels]:
    """Return the range in words: the level is drawn."""
    return f"a draw from {between(pruner.sparsity_range, level)}{_groups(pruner)}", {}


@stated.register
def of_sensitivity(pruner: SensitivityPruner, chosen: Chosen) -> tuple[str, Levels]:
    """Return the multiples of the deviation in words.

    >>> of_sensitivity(SensitivityPruner({"conv.weight": 0.25, "fc.weight": 0.5}), Chosen({}))[0]
    'within 0.25 to 0.5 σ'
    """
    return f"within {between(pruner.sensitivities.values(), number)} σ", {}


@stated.register
def of_levels(pruner: SparsityLevelParameterPruner, chosen: Chosen) -> tuple[str, Levels]:
    """Return the parameters of each level; a level of 0 asks for nothing.

    >>> of_levels(SparsityLevelParameterPruner({"conv.weight": 0.5, "fc.weight": 0.9}), Chosen({}))[0]
    '50 to 90 %'
    """
    written = {_name(key): share for key, share in pruner.levels.items()}
    values = by_target(pruner.levels, chosen) if chosen.all else written
    levels = {share: tuple(name for name in values if values[name] == share) for share in values.values() if share}
    return between(levels, level), {names: OneShot(share) for share, names in levels.items()}


def _rising(pruner: Pruner, chosen: Chosen, schedule: Schedule) -> tuple[str, Levels]:
    chance = ", by chance" if isinstance(pruner, Bernoulli) else ""
    kind = ", cubic" if schedule.initial != schedule.final else ""
    groups = _groups(pruner) if isinstance(pruner, StructuredPruner) else ""
    return rise(schedule.initial, schedule.final) + kind + groups + chance, {names_of(pruner, chosen): schedule}


def _groups(pruner: StructuredPruner) -> str:
    return f", {pruner.group_type.lower()}"


@forecast.register
def of_regularizer(action: RegularizeByRule, model: nn.Module | None = None) -> Forecast:
    """Return λ of each parameter, which rests in the epochs of the policy."""
    names, strengths = names_of(action.regularizer, action.chosen), strengths_of(action.regularizer, action.chosen)
    values = sorted(set(strengths.values()))
    asked = [_resting(value, tuple(name for name in strengths if strengths[name] == value)) for value in values]
    return Forecast("regularize", f"λ {between(values, number)}" if values else "", names, tuple(asked))


def _resting(strength: float, names: tuple[str, ...]) -> Asked:
    return Asked("lamda", names, lambda firing: strength, lasts=False)


@singledispatch
def strengths_of(regularizer: Regularizer, chosen: Chosen) -> dict[str, float]:
    """Return λ of each parameter, where a regularizer states it.

    >>> from prunus.recipes.distiller.regularizers import L1Regularizer
    >>> strengths_of(L1Regularizer({"fc.weight": 0.1}), Chosen({}))
    {'fc.weight': 0.1}
    """
    return {}


@strengths_of.register
def of_charges(regularizer: Charging, chosen: Chosen) -> dict[str, float]:
    """Return the strengths of the regimes."""
    model = {written: target.name for written, target in chosen.named.items()}
    return {model.get(name, name): regime.strength for name, regime in regularizer.regimes.items()}


@forecast.register
def of_rates(action: RateByEpoch, model: nn.Module | None = None) -> Forecast:
    """Return the settings of the class; the rates follow from the optimizer."""
    remarks = action.scheduler.fit_optimizer(one_weight(1.0), action.span)
    decided: dict[Quantity, str] = {}
    if isinstance(action.scheduler, ReduceLROnPlateau):
        decided["rate"] = f"the metric {action.scheduler.figure!r}"
    elif any(remark.severity == "error" for remark in remarks):
        decided["rate"] = "the optimizer's parameter groups"
    return Forecast("rate", settings_of(action.scheduler), decided=decided)


def settings_of(component: Component) -> str:
    """Return the settings of a component that differ from their defaults.

    >>> from prunus.recipes.distiller.lr_schedulers import StepLR
    >>> settings_of(StepLR(step_size=30, gamma=0.5))
    'step_size 30, gamma 0.5'
    """
    found = [(one.name, getattr(component, one.name), one.default) for one in fields(component)]  # type: ignore[arg-type]
    return ", ".join(f"{name} {value}" for name, value, default in found if value != default and not callable(value))


@forecast.register
def of_extension(action: ActOnce, model: nn.Module | None = None) -> Forecast:
    """Return that it acts once an epoch."""
    return Forecast("other", "before the first mini-batch")


def names_of(component: Component, chosen: Chosen) -> tuple[str, ...]:
    """Return the parameters of a component: by their names in the model, else as the file writes them.

    >>> from prunus.recipes.distiller.pruners import MagnitudeParameterPruner
    >>> names_of(MagnitudeParameterPruner({"fc.weight": 0.2, "*": 0.1}), Chosen({}))
    ('fc.weight', 'every other parameter')
    """
    if chosen.all:
        return tuple(target.name for target in chosen.all)
    return (*component.names, *((OTHERS,) if component.everything else ()))


def _name(key: str) -> str:
    return OTHERS if key == ALL else key
