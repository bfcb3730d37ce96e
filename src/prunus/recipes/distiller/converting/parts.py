"""What converters are given and what they give back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from prunus.recipes.distiller.contract import Chosen
from prunus.recipes.distiller.document import Line
from prunus.recipes.distiller.names import unwrapped
from prunus.recipes.levels import literal
from prunus.select import Select, Target


class Refusal(NamedTuple):
    """Why something has no equivalent, what to try instead, and about which word of the file it is, if about one.

    >>> Refusal("thresholds are not native").name
    ''
    """

    message: str
    suggestion: str = ""
    name: str = ""


@dataclass(frozen=True)
class Subject:
    """A line to convert, and its parameters in the model where there is one.

    >>> from prunus.recipes.distiller.pruners import AutomatedGradualPruner
    >>> from prunus.window import Window
    >>> line = Line(AutomatedGradualPruner(0.1, 0.9, "module.fc.weight"), Window(0, 9))
    >>> Subject(line).select(["module.fc.weight"]).include
    ('fc.weight',)
    """

    line: Line
    chosen: Chosen | None = None

    def select(self, names: Iterable[str]) -> Select:
        """Return the selection of just these parameters, as the file writes them."""
        return Select(include=tuple(literal(self.called(name)) for name in names))

    def called(self, name: str) -> str:
        """Return what the model calls a parameter; without a model, the name without ``module.``."""
        return self.chosen.named[name].name if self.chosen and name in self.chosen.named else unwrapped(name)

    def targets(self) -> list[Target]:
        """Return the parameters in the model, none without one."""
        return self.chosen.all if self.chosen else []

    def misfits(self, *, whole: bool) -> Iterator[Refusal]:
        """Refuse what native recipes leave out, and where ``whole`` structures go what they see the other way round."""
        for target in self.targets():
            if not target.parameter.requires_grad:
                yield Refusal(f"{target.name} is frozen, and native recipes leave frozen parameters out")
            elif whole and target.transposed:
                text = f"{target.name} is of a transposed convolution, whose filters are dimension 1 in native recipes"
                yield Refusal(text, "Write it by hand: channel for Filters, filter for Channels.")
