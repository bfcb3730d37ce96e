"""What a recipe becomes: its policies, and what it called their parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from prunus.policy import Policy
from prunus.recipes.faults import Fault
from prunus.recipes.nodes import Node
from prunus.recipes.writing import dump


class Recipe(list[Policy]):
    """The policies of a recipe, as a list, with all that is known of how they were written.

    Args:
        policies: the policies in their order.
        parts: named parts by section and name, as members; ``to_yaml`` uses the names.
        nodes: for each policy its node, with places, names resolved; empty for a recipe that was not read.
        warnings: what was found and is no error.

    >>> from prunus.actions import Prune
    >>> from prunus.schedules import Cubic
    >>> recipe = Recipe([Policy(Prune(Cubic(0.9)))], parts={"schedules": {"ramp": Cubic(0.9)}})
    >>> print(recipe.to_yaml(), end="")
    version: 1
    schedules:
      ramp:
        cubic: {final: 0.9}
    policies:
    - prune: {schedule: $ramp}
    """

    def __init__(
        self,
        policies: Sequence[Policy] = (),
        parts: Mapping[str, Mapping[str, Any]] | None = None,
        nodes: Sequence[Node] = (),
        warnings: Sequence[Fault] = (),
    ) -> None:
        super().__init__(policies)
        self.parts = {section: dict(names) for section, names in (parts or {}).items()}
        self.nodes = tuple(nodes)
        self.warnings = tuple(warnings)

    def to_yaml(self) -> str:
        """Return the recipe as one YAML text that loads as equal policies, with the names of the parts in use.

        Variables and included files are written as what they stood for.
        """
        return dump(self, self.parts)
