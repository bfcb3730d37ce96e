"""What the names and numbers of torch.nn.utils.prune mean here: they become criterion, structure, scope and counts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from prunus.actions import Prune
from prunus.criteria import Criterion, Magnitude, Random
from prunus.errors import SettingError, require_known, require_number
from prunus.integrations.lightning.arguments import Amounts, require_bool, share
from prunus.policy import Policy
from prunus.schedules import Schedule
from prunus.scopes import Global, PerLayer, Scope
from prunus.select import Select, Target
from prunus.structures import Channel, Element, Filter, Structure
from prunus.window import Window

FUNCTIONS = ("l1_structured", "l1_unstructured", "ln_structured", "random_structured", "random_unstructured")
SLICES: dict[int, Structure] = {0: Filter(), 1: Channel()}


@dataclass(frozen=True)
class PruningFunction:
    """One of torch's pruning functions with its arguments, translated.

    ``criterion``, ``structure`` and ``scope`` are what :class:`prunus.actions.Prune` needs. A global ranking of slices
    compares average norms, since slices of different layers have different sizes.

    Args:
        name: one of ``FUNCTIONS``; "l1_structured" is "ln_structured" with norm 1.
        everywhere: one ranking over all parameters; otherwise one in each.
        dim: for structured functions: 0 prunes outputs (rows, filters), 1 inputs (columns, input channels). Transposed
            convolutions keep their outputs in dimension 1 of the tensor; here, too, 0 means their outputs.
        norm: of "ln_structured", above 0 or inf; None and 1 are the 1-norm.

    Errors: SettingError for an unknown name (with the nearest), for a dimension where none belongs or where one is
    missing, and for a norm that would have no effect.

    >>> PruningFunction("ln_structured", dim=0, norm=2, everywhere=False).criterion
    Magnitude(p=2, average=False)
    """

    name: str
    everywhere: bool = True
    dim: int | None = None
    norm: float | None = None

    def __post_init__(self) -> None:
        """Refuse what torch would ignore, or fail on in the middle of training."""
        require_known("pruning_fn", self.name, FUNCTIONS)
        require_bool("use_global_unstructured", self.everywhere)
        if not self.structured and self.dim is not None:
            raise SettingError(
                f"pruning_dim is {self.dim!r}, but {self.name} prunes single weights; leave it out, or use "
                f"{self.name.replace('un', '')}"
            )
        if self.structured and (isinstance(self.dim, bool) or self.dim not in SLICES):
            raise SettingError(
                f"pruning_dim is {self.dim!r}, but {self.name} needs 0 (outputs: rows, filters) or 1 (inputs)"
            )
        if self.norm is not None:
            require_number("pruning_norm", self.norm, 0.0, open_low=True)
            if self.norm != 1 and self.name != "ln_structured":
                raise SettingError(f"pruning_norm is {self.norm}, which {self.name} does not use; try ln_structured")

    @property
    def structured(self) -> bool:
        """Whether whole slices are pruned."""
        return not self.name.endswith("unstructured")

    @property
    def structure(self) -> Structure:
        """What is pruned together."""
        return Element() if self.dim is None else SLICES[self.dim]

    @property
    def criterion(self) -> Criterion:
        """What makes a weight or a slice worth keeping."""
        if self.name.startswith("random"):
            return Random()
        return Magnitude(1.0 if self.norm is None else self.norm, average=self.structured and self.everywhere)

    @property
    def scope(self) -> Scope:
        """How the amount is shared among the parameters."""
        return Global() if self.everywhere else PerLayer()

    def members(self, target: Target) -> int:
        """Count what can be pruned in one parameter: its weights, or its slices."""
        return self.structure.groups(target.canonical(target.parameter).shape)


def policies(
    function: PruningFunction,
    chosen: Sequence[Target],
    amounts: Amounts,
    schedule: Callable[[float, float], Schedule],
    window: Window,
    *,
    action: type[Prune] = Prune,
    seed: int = 0,
) -> list[Policy]:
    """Return the policies that prune ``chosen``: one, or one a parameter where a count is meant in each.

    Args:
        function: what to prune.
        chosen: the parameters.
        amounts: from where to where.
        schedule: makes the schedule from the initial and the final fraction.
        window: when.
        action: Prune, or a member that acts at another moment.
        seed: of the random functions.

    >>> from torch import nn
    >>> from prunus.schedules import OneShot
    >>> from prunus.select import targets
    >>> chosen = targets(nn.Sequential(nn.Linear(10, 10), nn.Linear(10, 2)))
    >>> function = PruningFunction("l1_unstructured", everywhere=False)
    >>> made = policies(function, chosen, Amounts(0, 5), lambda initial, final: OneShot(final), Window(0, 1))
    >>> [policy.action.schedule.final for policy in made]
    [0.05, 0.25]
    """
    apart = amounts.counted and not function.everywhere
    pools = [[target] for target in chosen] if apart else [list(chosen)]
    made = []
    for number, pool in enumerate(pools):
        members = sum(map(function.members, pool))
        where = pool[0].name if apart else "the selection"
        initial, final = (share(name, amount, members, where) for name, amount in vars(amounts).items())
        parts = (function.criterion, function.structure, function.scope)
        select = Select(tuple(target.name for target in pool))
        made.append(Policy(action(schedule(initial, final), *parts, select, seed + number), window))
    return made
