"""Settings that are functions: code can hold them, a file cannot."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from prunus.errors import SettingError
from prunus.recipes.building import UNREADABLE
from prunus.recipes.distiller.contract import Remark
from prunus.recipes.distiller.groups import fit_groups
from prunus.recipes.distiller.rates import Counted
from prunus.recipes.faults import Place, Report
from prunus.recipes.nodes import Pair
from prunus.window import Span

Factor = Callable[[int], float]
"""What a rate is multiplied by, as a function of the epoch."""


@dataclass(frozen=True)
class OfFunction(Counted):
    """Base of the schedulers whose setting is a function of the epoch, or one for each parameter group.

    >>> from prunus.recipes.distiller.lr_schedulers import LambdaLR
    >>> LambdaLR([lambda epoch: 1.0, lambda epoch: 0.5**epoch]).factor(2, 1)
    0.25
    """

    lr_lambda: Factor | Sequence[Factor]

    def __post_init__(self) -> None:
        functions = self.lr_lambda if isinstance(self.lr_lambda, Sequence) else [self.lr_lambda]
        if not functions or not all(map(callable, functions)):
            raise SettingError(f"lr_lambda is {self.lr_lambda!r}, expected a function of the epoch, or one a group")

    @classmethod
    def read(cls, pairs: Mapping[str, Pair], name: str, place: Place, report: Report) -> Any:
        """Refuse: say how to add it in code."""
        refuse_function("lr_lambda", pairs, name, place, report)
        return UNREADABLE

    def factor(self, epoch: int, group: int) -> float:
        """Return what a group's rate is multiplied by."""
        function = self.lr_lambda[group] if isinstance(self.lr_lambda, Sequence) else self.lr_lambda
        return float(function(epoch))

    def fit_optimizer(self, optimizer: torch.optim.Optimizer, span: Span) -> Iterator[Remark]:
        """Refuse another number of functions than of groups."""
        yield from fit_groups({"lr_lambda": self.lr_lambda}, optimizer)
        yield from super().fit_optimizer(optimizer, span)


def refuse_function(setting: str, pairs: Mapping[str, Pair], name: str, place: Place, report: Report) -> None:
    """Report that a class, ``name``, wants a function in a file, where it is written or else where the class is.

    >>> report = Report()
    >>> refuse_function("lr_lambda", {}, "LambdaLR", Place(), report)
    >>> print(report.found[0])
    lr_lambda of LambdaLR is a function, which a file cannot hold: leave the policy out of the file and add it in code,
    scheduler.add_policy(LambdaLR(lr_lambda=...), starting_epoch=..., ending_epoch=...)
    """
    why = f"{setting} of {name} is a function, which a file cannot hold: leave the policy out of the file and add it"
    how = f"scheduler.add_policy({name}({setting}=...), starting_epoch=..., ending_epoch=...)"
    report.add(pairs[setting].value.place if setting in pairs else place, f"{why} in code, {how}", code="wrong-type")
