"""An extension's policy at work: once in each firing epoch, before its first forward pass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from prunus.actions import Action, Bound, Moment, Site
from prunus.recipes.distiller.bound import Batch, PolicyBound
from prunus.recipes.distiller.contract import Extension


@dataclass(frozen=True, eq=False)
class ActOnce(Action):
    """Let an extension of Distiller's act at the first mini-batch of each epoch in which its policy fires.

    Args:
        extension: what acts.

    >>> ActOnce.moment
    <Moment.BEFORE: 'before'>
    """

    moment: ClassVar[Moment] = Moment.BEFORE
    ramps: ClassVar[bool] = False
    needs_progress = False

    extension: Extension

    @property
    def title(self) -> str:
        """The class in the file."""
        return type(self.extension).__name__

    def bind(self, site: Site) -> Bound:
        """Remember the model, its optimizer and the masks."""
        return ExtensionBound(self.extension, site)


class ExtensionBound(PolicyBound):
    """The running side of an extension.

    >>> ExtensionBound.needs_minibatches
    True
    """

    needs_minibatches = True

    def __init__(self, extension: Extension, site: Site) -> None:
        super().__init__([])
        self.extension, self.site = extension, site
        self.armed = False

    def fire(self, time: int, progress: float) -> None:
        """Be ready for the first mini-batch of an epoch."""
        self.armed = True

    def minibatch_begin(self, batch: Batch) -> None:
        """Act once."""
        if self.armed:
            self.armed = False
            masks = self.site.masks
            self.extension.act(self.site.model, self.site.optimizer, {name: masks[name] for name in masks})

    def state_dict(self) -> dict[str, Any]:
        """Return whether it is still to act in this epoch."""
        return {"armed": self.armed}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what :meth:`state_dict` returned."""
        self.armed = bool(state["armed"])
