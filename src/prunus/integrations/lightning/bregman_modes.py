"""The two ways in which BregmanPruner makes a network sparse: what each takes, needs and measures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from torch import Tensor, nn
from torch.optim import Optimizer

from prunus.actions import Regularize, Steer
from prunus.errors import SettingError, require_number
from prunus.integrations.lightning.arguments import require_bool
from prunus.integrations.lightning.bregman_lines import group_names
from prunus.optim import BregmanOptimizer
from prunus.regularizers import RegL1
from prunus.select import ParameterManager, Select
from prunus.steering import AdditiveLambda, Steering, require_steerable

EXACT = 1e-12
"""Proximal steps leave exact zeros, so thresholds up to here count the same as 0; larger ones would not."""


class Still(Steering):
    """Leave every λ where its group put it; the weights are counted all the same.

    >>> Still().metrics()
    {}
    """

    def after_step(self, optimizer: BregmanOptimizer, step: int, progress: float) -> None:
        """Do nothing."""


@dataclass(frozen=True)
class Proximal:
    """A Bregman optimizer makes the zeros, and a member of :mod:`prunus.steering` moves its λ.

    >>> Proximal.names()
    ('sparsity_threshold', 'collect_metrics', 'lambda_scheduler')
    """

    verbose: ClassVar[int] = 1

    sparsity_threshold: float = 0.0
    collect_metrics: bool = True
    lambda_scheduler: Steering | Callable[[], Steering] | None = None

    def __post_init__(self) -> None:
        """Refuse a threshold that would change the count, and what is no steering."""
        require_number("sparsity_threshold", self.sparsity_threshold, 0.0)
        if self.sparsity_threshold > EXACT:
            raise SettingError(
                f"sparsity_threshold is {self.sparsity_threshold!r}, but sparsity is the share of exact zeros, which "
                f"proximal steps leave: expected 0, or at most {EXACT}, which counts the same"
            )
        require_bool("collect_metrics", self.collect_metrics)
        self.action()

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Return the arguments that ask for this mode."""
        return tuple(field.name for field in fields(cls))

    def require_optimizer(self, optimizer: Optimizer) -> None:
        """Refuse an optimizer that has no proximal step, or nothing to regularize."""
        if not isinstance(optimizer, BregmanOptimizer):
            raise SettingError(
                f"the proximal mode of BregmanPruner needs an optimizer of prunus.optim, such as AdaBreg, got "
                f"{type(optimizer).__name__}. With that optimizer use the penalty mode: {', '.join(Penalty.names())}"
            )
        require_steerable(optimizer)

    def action(self, model: nn.Module | None = None) -> Steer:
        """Return what steers; a partial makes a new member, so that every run begins anew."""
        found = self.lambda_scheduler
        if found is None:
            return Steer(Still())
        steering = found() if callable(found) else found
        if not isinstance(steering, Steering):
            wanted = "a member of prunus.steering such as LambdaScheduler(), or a partial that makes one"
            raise SettingError(f"lambda_scheduler is {found!r}, expected {wanted}")
        return Steer(steering)

    @property
    def initial(self) -> float | None:
        """λ before the run, where the steering says it."""
        return self.action().steering.metrics().get("lambda")

    def figures(self, found: Mapping[str, float], optimizer: Optimizer) -> dict[str, float]:
        """Return the figures of the engine by their names here, and λ of every regularized group."""
        assert isinstance(optimizer, BregmanOptimizer)
        steered = {id(member.group) for member in optimizer.regularized()}
        named = zip(group_names(optimizer), optimizer.param_groups, strict=True)
        groups = {f"lambda_{name}": float(group["reg"].lamda) for name, group in named if id(group) in steered}
        return {("global_lambda" if name == "lambda" else name): value for name, value in found.items()} | groups


@dataclass(frozen=True)
class Penalty:
    """λ·Σ|w| is added to the loss of any other optimizer, and the additive rule moves λ.

    >>> Penalty.names()
    ('target_sparsity', 'initial_lambda', 'lambda_update_rate', 'update_frequency', 'parameters_to_prune')
    """

    verbose: ClassVar[int] = 0
    collect_metrics: ClassVar[bool] = True

    target_sparsity: float | list[float] = 0.8
    initial_lambda: float = 1.0
    lambda_update_rate: float = 0.001
    update_frequency: int = 100
    parameters_to_prune: Sequence[str | tuple[nn.Module, str]] | None = None

    def __post_init__(self) -> None:
        """Refuse settings that the rule or the choice of parameters could not use."""
        self.steering()
        self.manager()

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Return the arguments that ask for this mode."""
        return tuple(field.name for field in fields(cls))

    def require_optimizer(self, optimizer: Optimizer) -> None:
        """Refuse an optimizer that regularizes by itself: weights would be pulled down twice, by two λ."""
        if isinstance(optimizer, BregmanOptimizer) and any(True for _ in optimizer.regularized()):
            raise SettingError(
                f"the penalty mode of BregmanPruner charges the loss, but {type(optimizer).__name__} already has a "
                f"regularizer. Steer that one, in the proximal mode: {', '.join(Proximal.names())}; or give the "
                "optimizer RegNone"
            )

    def steering(self) -> AdditiveLambda:
        """Return the rule that moves λ."""
        rule = (self.initial_lambda, self.target_sparsity, self.lambda_update_rate, self.update_frequency)
        return AdditiveLambda(*rule)

    def manager(self) -> ParameterManager:
        """Return what chooses the parameters: all weights of prunable layers, or those that were named."""
        return ParameterManager(min_param_elements=1, parameters_to_prune=self.parameters_to_prune)

    def chosen(self, model: nn.Module) -> list[Tensor]:
        """Return the parameters of a model that are charged."""
        return [target.parameter for target in self.manager().collect(model).chosen]

    def loss(self, model: nn.Module) -> Tensor:
        """Return λ·Σ|w| with the initial λ, differentiable."""
        first, *others = map(RegL1(self.initial_lambda), self.chosen(model))
        return sum(others, start=first)

    def action(self, model: nn.Module) -> Regularize:
        """Return the penalty and what moves its λ."""
        select = Select(self.manager().collect(model).names)
        return Regularize(RegL1(self.initial_lambda), select, self.steering())

    @property
    def initial(self) -> float:
        """λ of the first loss."""
        return self.initial_lambda

    def figures(self, found: Mapping[str, float], optimizer: Optimizer) -> dict[str, float]:
        """Return the figures of the engine, λ under both of its names."""
        return {**found, "global_lambda": found["lambda"]}


def mode_of(given: Mapping[str, Any]) -> Proximal | Penalty | None:
    """Return the mode that the arguments ask for, None when there are none; SettingError when they ask for both.

    >>> mode_of({"target_sparsity": 0.9}).initial_lambda, mode_of({})
    (1.0, None)
    """
    said = {name: value for name, value in given.items() if value is not None}
    proximal, penalty = ([name for name in kind.names() if name in said] for kind in (Proximal, Penalty))
    if proximal and penalty:
        raise SettingError(
            f"BregmanPruner was given arguments of two modes: {', '.join(proximal)} of the proximal mode "
            f"({', '.join(Proximal.names())}) and {', '.join(penalty)} of the penalty mode "
            f"({', '.join(Penalty.names())}). Give those of one; verbose and echo go with either"
        )
    if proximal:
        return Proximal(**said)
    return Penalty(**said) if penalty else None


def mode_for(optimizer: Optimizer) -> Proximal:
    """Return the mode of a callback without arguments: proximal, λ left alone, where the optimizer allows it.

    >>> import torch
    >>> mode_for(torch.optim.SGD([torch.ones(1, requires_grad=True)]))
    Traceback (most recent call last):
        ...
    prunus.errors.SettingError: BregmanPruner() was given no mode, and SGD does not settle it: ...
    """
    if isinstance(optimizer, BregmanOptimizer):
        return Proximal()
    raise SettingError(
        f"BregmanPruner() was given no mode, and {type(optimizer).__name__} does not settle it: pass "
        "target_sparsity=0.8 for the penalty mode, or train with an optimizer of prunus.optim, such as AdaBreg"
    )
