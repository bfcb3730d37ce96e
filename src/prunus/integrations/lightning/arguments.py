"""Arguments of the pruning callbacks: counts and fractions told apart, and nothing swallowed."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass

from prunus.errors import Faults, SettingError, did_you_mean, require_count, require_fraction


def require_amount(name: str, amount: object) -> None:
    """Raise SettingError unless ``amount`` is a count (int of at least 0) or a fraction (float in [0, 1]).

    >>> require_amount("amount", True)
    Traceback (most recent call last):
        ...
    prunus.errors.SettingError: amount is True, expected a fraction such as 0.5 or a count such as 500
    """
    if isinstance(amount, bool) or not isinstance(amount, (int, float)):
        raise SettingError(f"{name} is {amount!r}, expected a fraction such as 0.5 or a count such as 500")
    if isinstance(amount, int):
        require_count(name, amount, 0)
    else:
        require_fraction(name, amount)


def require_bool(name: str, value: object) -> None:
    """Raise SettingError unless ``value`` is True or False.

    >>> require_bool("verbose", "no")
    Traceback (most recent call last):
        ...
    prunus.errors.SettingError: verbose is 'no', expected True or False
    """
    if not isinstance(value, bool):
        raise SettingError(f"{name} is {value!r}, expected True or False")


def refuse_unknown(kind: type, unknown: Mapping[str, object]) -> None:
    """Raise SettingError naming every argument that ``kind`` does not have, each with the nearest that it has.

    >>> refuse_unknown(Amounts, {"finel": 2})
    Traceback (most recent call last):
        ...
    prunus.errors.SettingError: Amounts was given unknown arguments: finel. Did you mean 'final'?
    """
    faults = Faults(f"{kind.__name__} was given unknown arguments")
    known = [name for name, one in inspect.signature(kind).parameters.items() if one.kind is not one.VAR_KEYWORD]
    for name in unknown:
        faults.add(f"{name}. {did_you_mean(name, known)}")
    faults.raise_as(SettingError)


def share(name: str, amount: float, members: int, where: str) -> float:
    """Return the amount as a fraction of ``members``; a count that exceeds them raises SettingError.

    >>> share("amount", 3, 12, "fc.weight"), share("amount", 0.3, 12, "fc.weight")
    (0.25, 0.3)
    """
    if isinstance(amount, float):
        return amount
    if amount > members:
        raise SettingError(f"{name} is the count {amount}, but {where} has only {members}; for a fraction write 0.5")
    return amount / members if members else 0.0


@dataclass(frozen=True)
class Amounts:
    """From where to where the ramp goes, as counts (int) or fractions (float); it may not fall.

    >>> Amounts(initial=0.0, final=30).counted
    True
    """

    initial: float
    final: float

    def __post_init__(self) -> None:
        """Refuse what is neither count nor fraction, and an order that shows before the counts are known."""
        require_amount("amount", self.final)
        require_amount("initial_amount", self.initial)
        if type(self.initial) is type(self.final) and self.initial > self.final:
            raise SettingError(f"initial_amount is {self.initial}, above the final {self.final}; masks only tighten")

    @property
    def counted(self) -> bool:
        """Whether any of the two is a count, which is another fraction in every parameter."""
        return isinstance(self.initial, int) or isinstance(self.final, int)
