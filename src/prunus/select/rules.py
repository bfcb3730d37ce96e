"""The rules of selection: patterns, layer types, sizes; every parameter gets a reason or takes part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from prunus.errors import Faults, SelectionError, did_you_mean, require_count
from prunus.select.layers import is_bias, is_protected
from prunus.select.target import Choice, Target
from prunus.select.walk import Walk


@dataclass(frozen=True)
class Select:
    """Choose parameters by shell patterns on their qualified names, by layer type and by size.

    A parameter takes part when an ``include`` pattern matches its name ("layer1.*.weight") or its module's name
    ("layer1.0"), no ``exclude`` pattern does, it is trainable and floating, has at least ``min_elements`` entries
    and, unless ``biases`` is set, is neither a vector nor named like a bias. Norm layers and PReLU are skipped unless
    an ``include`` names their parameter literally. ``types`` narrows to layer classes, by class name ("Linear",
    "torch.nn.Conv2d" or any base class). A weight shared by several modules counts once, under its first name.

    A pattern or type that matches nothing is an error that offers the nearest name.

    >>> model = nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8), nn.Linear(8, 2))
    >>> [target.name for target in targets(model)]
    ['0.weight', '2.weight']
    >>> targets(model, Select(include=("3.weight",)))
    Traceback (most recent call last):
        ...
    prunus.errors.SelectionError: ... include '3.weight' matches no parameter. Did you mean '2.weight'?
    """

    include: tuple[str, ...] = ("*",)
    exclude: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    min_elements: int = 1
    biases: bool = False

    def __post_init__(self) -> None:
        """Accept lists (as YAML gives them); refuse bare strings, whose letters would be taken for patterns."""
        for name in ("include", "exclude", "types"):
            value = getattr(self, name)
            if isinstance(value, str):
                raise SelectionError(f"{name} is the string {value!r}, expected a list of patterns: [{value!r}]")
            object.__setattr__(self, name, tuple(value))
        require_count("min_elements", self.min_elements, 0)

    def reason_against(self, target: Target) -> str:
        """Say why a parameter that the patterns let through stays out, or return an empty string."""
        if not target.lives:
            return "no parameter any more"
        parameter, literal = target.parameter, any(name in self.include for name in (target.name, *target.aliases))
        if not parameter.requires_grad:
            return "frozen"
        if not parameter.is_floating_point():
            return f"not floating ({parameter.dtype})"
        if self.types and not _of_types(target.module, self.types):
            return f"layer type {type(target.module).__name__}"
        if is_protected(target.module) and not literal:
            return f"protected layer type {type(target.module).__name__}"
        if is_bias(target.parameter_name, parameter.dim()) and not self.biases and not literal:
            return "bias or vector"
        if parameter.numel() < self.min_elements:
            return f"fewer than {self.min_elements} elements"
        return ""


def targets(model: nn.Module | Walk, select: Select | None = None) -> list[Target]:
    """Return the parameters that ``select`` (default: every weight matrix and kernel) chooses, in model order.

    Many selections from one model take a :class:`Walk` of it instead, so that it is walked once.

    Raises SelectionError when a pattern or type matches nothing, or when nothing is left to choose.

    >>> [target.name for target in targets(nn.Sequential(nn.Linear(4, 2)))]
    ['0.weight']
    """
    select, walk = select or Select(), _walked(model)
    _require_matches(walk, select)
    matched = sorted(walk.matched(select.include) - walk.matched(select.exclude))
    chosen = [walk.targets[at] for at in matched if not select.reason_against(walk.targets[at])]
    return chosen or require_some(explain(walk, select))


def require_some(choices: Sequence[Choice]) -> list[Target]:
    """Return what was chosen; raise SelectionError with the reasons when that is nothing.

    >>> [target.name for target in require_some(explain(nn.Linear(4, 2)))]
    ['weight']
    """
    chosen = [choice.target for choice in choices if choice.chosen]
    if not chosen:
        reasons = sorted({f"{choice.target.name}: {choice.reason}" for choice in choices})
        raise SelectionError("the selection is empty: " + ("; ".join(reasons[:8]) or "the model has no parameters"))
    return chosen


def explain(model: nn.Module | Walk, select: Select | None = None) -> list[Choice]:
    """Return one Choice for every distinct parameter of the model, with the reason for each that stays out.

    >>> [(choice.target.name, choice.reason) for choice in explain(nn.Linear(4, 2))]
    [('weight', ''), ('bias', 'bias or vector')]
    """
    select, walk = select or Select(), _walked(model)
    _require_matches(walk, select)
    included, excluded = walk.matched(select.include), walk.matched(select.exclude)
    beyond = {at: "excluded by pattern" if at in excluded else "" for at in included}
    return [
        Choice(target, beyond.get(at, "not included") or select.reason_against(target))
        for at, target in enumerate(walk.targets)
    ]


def _walked(model: nn.Module | Walk) -> Walk:
    return model if isinstance(model, Walk) else Walk(model)


def _of_types(module: nn.Module, types: tuple[str, ...]) -> bool:
    """Whether the module's class, or one of its bases, has one of the names (dotted or bare)."""
    return bool(set(types) & {name for base in type(module).__mro__ for name in _class_names(base)})


def _class_names(kind: type) -> tuple[str, str, str]:
    """The bare name, the full dotted name, and torch's public short form of the dotted name."""
    public = f"torch.nn.{kind.__name__}" if kind.__module__.startswith("torch.nn.") else kind.__name__
    return kind.__name__, f"{kind.__module__}.{kind.__qualname__}", public


def _require_matches(walk: Walk, select: Select) -> None:
    """Raise one SelectionError that lists every pattern and type without a match."""
    faults = Faults("the selection does not fit the model")
    for kind in ("include", "exclude"):
        for pattern in getattr(select, kind):
            if walk.targets and not walk.matched((pattern,)):
                faults.add(f"{kind} {pattern!r} matches no parameter. {did_you_mean(pattern, walk.names)}")
    for name in select.types:
        if not any(_of_types(target.module, (name,)) for target in walk.targets):
            known = {type(target.module).__name__ for target in walk.targets}
            faults.add(f"type {name!r} is no layer of this model. {did_you_mean(name, known)}")
    faults.raise_as(SelectionError)


def require_in_optimizer(chosen: list[Target], optimizer: torch.optim.Optimizer) -> None:
    """Raise SelectionError naming every target whose parameter the optimizer does not update.

    >>> model = nn.Linear(4, 2)
    >>> require_in_optimizer(targets(model), torch.optim.SGD([model.bias], lr=0.1))
    Traceback (most recent call last):
        ...
    prunus.errors.SelectionError: the optimizer lacks parameters that are to be compressed: weight
    """
    held = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    missing = [target.name for target in chosen if id(target.parameter) not in held]
    if missing:
        raise SelectionError(f"the optimizer lacks parameters that are to be compressed: {', '.join(missing)}")
