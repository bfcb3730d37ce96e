"""Add a regularizer's value to the loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from prunus.actions.base import Action, Bound, Moment, Site
from prunus.regularizers import Regularizer
from prunus.select import Select, Target, targets


@dataclass(frozen=True)
class Regularize(Action):
    r"""Add Σ J(w) over the chosen parameters to the loss: loss + λ Σ J(w).

    The classical way to use a regularizer: it pulls weights towards zero through the gradient and, unlike a
    Bregman optimizer's proximal step, leaves none exactly there. Combine it with :class:`Prune`, or use a Bregman
    optimizer. The loop must pass its loss through ``scheduler.loss(loss)``, or NoEffect is warned.

    Args:
        regularizer: member of :mod:`prunus.regularizers`; its ``lamda`` is λ, in units of the loss.
        select: which parameters. Default: every weight matrix and kernel.

    Source: Tibshirani 1996 (lasso); Yuan and Lin 2006 (group lasso).

    >>> import torch
    >>> from prunus.regularizers import RegL1
    >>> from prunus.scheduler import CompressionScheduler
    >>> model = torch.nn.Linear(2, 1, bias=False)
    >>> _ = model.weight.data.fill_(0.5)
    >>> scheduler = CompressionScheduler(model, [Regularize(RegL1(0.1))], epochs=1, steps_per_epoch=1)
    >>> round(scheduler.loss(torch.tensor(1.0)).item(), 3)
    1.1
    """

    moment: ClassVar[Moment] = Moment.DURING
    ramps: ClassVar[bool] = False
    needs_progress = False

    regularizer: Regularizer
    select: Select = Select()

    def bind(self, site: Site) -> Bound:
        """Choose the targets and evaluate the regularizer once, so that a misfit shows before training."""
        chosen = targets(site.model, self.select)
        for target in chosen:
            self.regularizer(target.canonical(target.parameter.detach()))
        return _Penalty(self.regularizer, chosen)


class _Penalty(Bound):
    """The running side of Regularize."""

    def __init__(self, regularizer: Regularizer, chosen: list[Target]) -> None:
        super().__init__([target.parameter for target in chosen])
        self.regularizer = regularizer
        self.chosen = chosen

    def penalty(self) -> Tensor | None:
        """Return λ Σ J(w), differentiable, or None when λ is 0, so that training is then bit-identical."""
        if self.regularizer.lamda == 0.0:
            return None
        terms = [self.regularizer(target.canonical(target.parameter)) for target in self.chosen]
        return sum(terms[1:], start=terms[0])
