"""A regularizer's policy at work: a term of the loss, and possibly groups removed after each mini-batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor

from prunus._pieces import one_thread
from prunus.actions import Action, Bound, Moment, Site
from prunus.recipes.distiller.arguments import RegularizerArgs
from prunus.recipes.distiller.bound import Batch, PolicyBound
from prunus.recipes.distiller.contract import Chosen, Regularizer
from prunus.recipes.distiller.layers import LayeredMasks
from prunus.window import Span


@dataclass(frozen=True, eq=False)
class RegularizeByRule(Action):
    """Add a regularizer of Distiller's to the loss in the epochs of its policy.

    Args:
        regularizer: the term, and what its threshold removes.
        chosen: the parameters, found in the model.
        span: the policy's window.
        args: whether what was removed in the end stays so.

    >>> RegularizeByRule.moment
    <Moment.DURING: 'during'>
    """

    moment: ClassVar[Moment] = Moment.DURING
    ramps: ClassVar[bool] = False
    needs_progress = False

    regularizer: Regularizer
    chosen: Chosen
    span: Span
    args: RegularizerArgs = field(default_factory=RegularizerArgs)

    @property
    def title(self) -> str:
        """The class in the file."""
        return type(self.regularizer).__name__

    def bind(self, site: Site) -> Bound:
        """Admit the targets and evaluate the term once, so that a misfit shows before training."""
        site.masks.include(self.chosen.all)
        with torch.no_grad():
            self.regularizer.penalty(self.chosen)
        return RegularizingBound(self, site)


class RegularizingBound(PolicyBound):
    """The running side; masks of thresholds live in a slot of their own and never touch a pruner's.

    >>> issubclass(RegularizingBound, PolicyBound)
    True
    """

    def __init__(self, action: RegularizeByRule, site: Site) -> None:
        super().__init__([target.parameter for target in action.chosen.all])
        assert isinstance(site.masks, LayeredMasks)
        self.action, self.masks = action, site.masks
        self.owner = self.masks.new_owner()
        self.slot = f"regularizer {self.owner}"

    def penalty(self) -> Tensor | None:
        """Return the term, differentiable."""
        return self.action.regularizer.penalty(self.action.chosen)

    @torch.no_grad()
    @one_thread()
    def minibatch_end(self, batch: Batch) -> None:
        """Set to zero what the threshold removes, for now."""
        if self.action.regularizer.thresholds:
            for name, mask in self.action.regularizer.keep(self.action.chosen).items():
                self.masks.target(name).parameter.masked_fill_(~mask, 0.0)

    @torch.no_grad()
    @one_thread()
    def close_epoch(self, epoch: int) -> None:
        """After the last firing, enforce what the threshold removes, where it is to be kept."""
        keeps = self.action.args.keep_mask and self.action.regularizer.thresholds
        if keeps and epoch == self.action.span.firings()[-1]:
            self.masks.put(self.slot, self.owner, self.action.regularizer.keep(self.action.chosen))

    def state_dict(self) -> dict[str, Any]:
        """Return the layers."""
        return {"layers": self.masks.saved(self.slot, self.owner)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what :meth:`state_dict` returned."""
        self.masks.restore(self.slot, self.owner, state["layers"])
