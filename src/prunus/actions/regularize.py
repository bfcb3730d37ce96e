"""Add a regularizer's value to the loss."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from prunus.actions.base import Action, Bound, Moment, Site
from prunus.errors import SettingError
from prunus.measure import sparsity
from prunus.regularizers import Regularizer
from prunus.select import Select, Target, targets
from prunus.steering import FeedbackLoop, Steering


@dataclass(frozen=True)
class Regularize(Action):
    r"""Add Σ J(w) over the chosen parameters to the loss: loss + λ Σ J(w).

    The classical way to use a regularizer: it pulls weights towards zero through the gradient and, unlike a
    Bregman optimizer's proximal step, leaves none exactly there. Combine it with :class:`Prune`, or use a Bregman
    optimizer. The loop must pass its loss through ``scheduler.loss(loss)``, or NoEffect is warned.

    Args:
        regularizer: member of :mod:`prunus.regularizers`; its ``lamda`` is λ, in units of the loss.
        select: which parameters. Default: every weight matrix and kernel.
        steering: what moves λ: ``AdditiveLambda`` or another member that takes readings of the sparsity. After every
            optimizer step it is told the share of exact zeros among the chosen weights, masked places included. None
            leaves λ alone. One object serves one run.

    Errors: SettingError for a steering that takes no readings.
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
    steering: Steering | None = None

    def __post_init__(self) -> None:
        """Refuse a steering that acts on Bregman optimizers only."""
        if self.steering is not None and not isinstance(self.steering, FeedbackLoop):
            wanted = "one that takes readings of the sparsity, such as AdditiveLambda()"
            raise SettingError(f"steering is {self.steering!r}, expected {wanted}")

    @property
    def moments(self) -> tuple[Moment, ...]:
        """While the loss is computed; with a steering also after every step."""
        return (Moment.DURING,) if self.steering is None else (Moment.DURING, Moment.AFTER)

    @property
    def unit(self) -> str:  # type: ignore[override]
        """Steps, where a steering counts them."""
        return "epoch" if self.steering is None else "step"

    @property
    def every_step(self) -> bool:  # type: ignore[override]
        """A steering takes a reading after every step."""
        return self.steering is not None

    def bind(self, site: Site) -> Bound:
        """Choose the targets and evaluate the regularizer once, so that a misfit shows before training."""
        chosen = targets(site.walk, self.select)
        for target in chosen:
            self.regularizer(target.canonical(target.parameter.detach()))
        if isinstance(self.steering, FeedbackLoop):
            return _SteeredPenalty(self.regularizer, chosen, self.steering)
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


class _SteeredPenalty(_Penalty):
    """A penalty whose λ follows the sparsity."""

    def __init__(self, regularizer: Regularizer, chosen: list[Target], steering: FeedbackLoop) -> None:
        super().__init__(regularizer, chosen)
        self.steering = steering

    def begin(self) -> None:
        """Start with the λ of the steering."""
        self.regularizer.lamda = self.steering.lambda_value

    def fire(self, time: int, progress: float) -> None:
        """Take a reading after optimizer step ``time``; its λ counts from the next loss on."""
        self.regularizer.lamda = self.steering.step(sparsity(self.parameters))

    def epoch_begin(self, epoch: int) -> None:
        """Tell the steering which epoch begins."""
        self.steering.epoch_begin(epoch)

    def finish(self) -> None:
        """Let the steering say whether its target was missed."""
        self.steering.finish(None)

    def metrics(self) -> dict[str, float]:
        """Return the steering's figures, λ among them."""
        return self.steering.metrics()

    def state_dict(self) -> dict[str, Any]:
        """Return the steering's state."""
        return self.steering.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what :meth:`state_dict` returned, λ included."""
        self.steering.load_state_dict(state)
        self.begin()
