"""An action of which a timeline knows nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from prunus.actions import Action, Bound, Moment, Site


@dataclass(frozen=True)
class Rest(Action):
    """Do nothing."""

    moment: ClassVar[Moment] = Moment.AFTER

    def bind(self, site: Site) -> Bound:
        """Need nothing."""
        return Bound([])
