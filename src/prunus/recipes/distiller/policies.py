"""What code hands to ``add_policy``, and what callbacks hand back."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from prunus.recipes.distiller.arguments import PrunerArgs, RegularizerArgs
from prunus.recipes.distiller.contract import Component, Pruner, Regularizer


class LossComponent(NamedTuple):
    """One term of a loss, by the class that adds it, as a figure for a log.

    >>> import torch
    >>> LossComponent("L1Regularizer_loss", torch.tensor(0.5)).name
    'L1Regularizer_loss'
    """

    name: str
    value: Tensor


class PolicyLoss(NamedTuple):
    """The whole loss, to be sent backwards, and its terms beside the task's.

    >>> import torch
    >>> PolicyLoss(torch.tensor(1.0), []).loss_components
    []
    """

    overall_loss: Tensor
    loss_components: list[LossComponent]


class PruningPolicy(NamedTuple):
    """A pruner with its arguments, for :meth:`DistillerScheduler.add_policy`.

    >>> from prunus.recipes.distiller.pruners import AutomatedGradualPruner
    >>> PruningPolicy(AutomatedGradualPruner(0.1, 0.9, "weight"), PrunerArgs(keep_mask=True)).args.keep_mask
    True
    """

    pruner: Pruner
    args: PrunerArgs | None = None


class RegularizationPolicy(NamedTuple):
    """A regularizer with its arguments, for :meth:`DistillerScheduler.add_policy`.

    >>> RegularizationPolicy._fields
    ('regularizer', 'args')
    """

    regularizer: Regularizer
    args: RegularizerArgs | None = None


def no_args(component: Component) -> PrunerArgs | RegularizerArgs | None:
    """Return the arguments that change nothing, for components whose policies take some.

    >>> from prunus.recipes.distiller.pruners import AutomatedGradualPruner
    >>> no_args(AutomatedGradualPruner(0.1, 0.9, "weight")) == PrunerArgs()
    True
    """
    if isinstance(component, Pruner):
        return PrunerArgs()
    return RegularizerArgs() if isinstance(component, Regularizer) else None
