"""The native step: which parameters it can take, and one table of addresses for those of a group."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from operator import is_
from typing import Any, NamedTuple

import torch
from torch import Tensor

from prunus import _native
from prunus._native.stepping import GROUPED, PLAIN, POSITIVE, SOFT, Lay, Numbers, Steps
from prunus.errors import CheckpointError
from prunus.optim._layout import memory_grid
from prunus.regularizers import GroupLasso, RegL1, RegL1L2, RegL1L2Conv, RegL1Pos, RegNone, Regularizer

DTYPES = (torch.float32, torch.bfloat16)
# By exact type: a subclass may have a prox of its own.
KINDS: dict[type[Regularizer], int] = {
    GroupLasso: GROUPED,
    RegL1: SOFT,
    RegL1L2: GROUPED,
    RegL1L2Conv: GROUPED,
    RegL1Pos: POSITIVE,
    RegNone: PLAIN,
}


class Rule(NamedTuple):
    """One step of an optimizer in the kernel's terms: its rule, the states it moves, and its numbers.

    ``own`` holds what each parameter has of its own, AdaBreg's bias corrections; one entry serves all.
    """

    kind: int
    keys: tuple[str, ...]
    numbers: Numbers
    own: Sequence[tuple[float, float]] = ()


class FusedGroup:
    """The parameters of a group that one native call can step, and the rest.

    >>> from prunus.regularizers import RegL1
    >>> group = {"reg": RegL1(), "implementation": "auto"}
    >>> table = FusedGroup([torch.zeros(2), torch.zeros(3)], group, lambda p, reg: "too long" if len(p) > 2 else "")
    >>> len(table.able), len(table.rest)
    (1, 1)
    """

    def __init__(
        self, params: Sequence[Tensor], group: dict[str, Any], hindered: Callable[[Tensor, Regularizer], str]
    ) -> None:
        self.params, self.reg, self.implementation = list(params), group["reg"], group["implementation"]
        self.looks = self._look()
        wanted = self.implementation in ("auto", "fused")
        self.able = [p for p in params if wanted and not hindered(p, self.reg)]
        able = set(map(id, self.able))
        self.rest = [p for p in params if id(p) not in able]
        self.parts: list[Part] = []

    def fits(self, params: Sequence[Tensor], group: dict[str, Any]) -> bool:
        """Say whether all is as it was when these parameters were sorted: none moved or changed, and the settings."""
        same = len(params) == len(self.params) and all(map(is_, params, self.params))
        settled = group["reg"] is self.reg and group["implementation"] == self.implementation
        return same and settled and self.looks == self._look()

    def step_(self, states: Sequence[dict[str, Any]], rule: Rule, decay: float) -> None:
        """Step what the native call can take, and count its survivors."""
        if not self.parts or not all(part.fits(states, rule.keys) for part in self.parts):
            self.parts = list(self._parts(states, rule.keys))
        for part in self.parts:
            part.step_(rule, rule.numbers._replace(decay=decay, lamda=self.reg.lamda))

    def survivors(self, parameter: Tensor) -> int | None:
        """Return how many entries of a parameter are not zero, if that was counted and nothing has touched it since."""
        return next((count for part in self.parts if (count := part.survivors(parameter)) is not None), None)

    def _look(self) -> list[Any]:
        return [self.reg.structure, *[(p.data_ptr(), p.dtype, p.shape, p.stride()) for p in self.params]]

    def _parts(self, states: Sequence[dict[str, Any]], keys: tuple[str, ...]) -> Iterator[Part]:
        """Yield one table for each dtype; empty parameters need none."""
        for dtype in DTYPES:
            places = [i for i, p in enumerate(self.able) if p.dtype == dtype and p.numel()]
            if places:
                yield Part([self.able[i] for i in places], [states[i] for i in places], places, keys, self.reg)


class Part:
    """The fused parameters of one dtype: their table, and how many of each survive.

    >>> from prunus.optim import LinBreg
    >>> optimizer = LinBreg([torch.nn.Parameter(torch.ones(2))])
    >>> optimizer.survivors(optimizer.param_groups[0]["params"][0])
    2
    """

    def __init__(
        self,
        weights: list[Tensor],
        states: Sequence[dict[str, Any]],
        places: list[int],
        keys: tuple[str, ...],
        reg: Regularizer,
    ) -> None:
        self.weights, self.places, self.keys = weights, places, keys
        for weight, state in zip(weights, states, strict=True):
            _lay_out(weight, state, keys)
        lays = [found for weight in weights if (found := lay(weight, reg))]
        self.steps = Steps(weights, [[state[key] for key in keys] for state in states], lays)
        self.index = {id(weight): row for row, weight in enumerate(weights)}
        self.versions: list[int] = []

    def fits(self, states: Sequence[dict[str, Any]], keys: tuple[str, ...]) -> bool:
        """Say whether the table still holds for these states of the group."""
        return keys == self.keys and self.steps.fits([states[i][key] for i in self.places for key in keys])

    def step_(self, rule: Rule, numbers: Numbers) -> None:
        """Take one step, and note the version of each weight, by which a later change shows."""
        own = rule.own if len(rule.own) < 2 else [rule.own[i] for i in self.places]
        self.steps.run(rule.kind, numbers, [p.grad for p in self.weights], own)  # type: ignore[misc]
        self.versions = [p._version for p in self.weights]

    def survivors(self, parameter: Tensor) -> int | None:
        """Return how many entries of a parameter are not zero, if that is still known."""
        row = self.index.get(id(parameter))
        if row is None or not self.versions or self.versions[row] != parameter._version:
            return None
        return self.steps.alive[row]


def obstacle(parameter: Tensor, reg: Regularizer, has_dual: bool) -> str:
    """Return why the native call cannot step a parameter, or nothing.

    >>> from prunus.regularizers import RegSoftBernoulli
    >>> obstacle(torch.zeros(2), RegSoftBernoulli(), has_dual=True) != ""
    True
    """
    if not _native.available():
        return _native.why_not()
    if type(reg) not in KINDS:
        return f"{type(reg).__name__} has no native form"
    if parameter.dtype not in DTYPES:
        return f"it is {parameter.dtype}, and the native step takes float32 and bfloat16"
    if not parameter.is_cpu:
        return f"it lies on {parameter.device}, and the native step runs on the CPU"
    if not _native.can_clear(parameter):
        return "its memory has gaps, or it is no plain tensor"
    found = lay(parameter, reg)
    if found is None:
        return f"the groups of {reg.structure} do not lie regularly in its memory"
    if found.kind == GROUPED and not has_dual and parameter.dtype != torch.float32:
        return "it is bfloat16, which cannot hold ProxSGD's step until the groups are known"
    return ""


def lay(parameter: Tensor, reg: Regularizer) -> Lay | None:
    """Return how the proximal map of a regularizer acts on the memory of a parameter; None where it is irregular.

    >>> from prunus.regularizers import RegL1L2
    >>> lay(torch.zeros(4, 9), RegL1L2())
    Lay(kind=3, price=3.0, grid=(4, 1, 1, 9))
    """
    kind, price = KINDS[type(reg)], reg.price(parameter.shape)
    if kind != GROUPED or price == 0.0 or not parameter.numel():
        return Lay(PLAIN if kind == GROUPED else kind, price)
    if reg.structure.members(parameter.shape) == 1:
        return Lay(SOFT, price)
    grid = memory_grid(reg.structure, parameter)
    return None if grid is None else Lay(kind, price, grid)


def _lay_out(weight: Tensor, state: dict[str, Any], keys: tuple[str, ...]) -> None:
    """Give each state the memory layout of its weight, where it came from another; refuse what is no such state."""
    for key in keys:
        kept = state[key]
        if kept.dtype != torch.float32 or kept.device != weight.device or kept.shape != weight.shape:
            raise CheckpointError(
                f"the state {key} is {kept.dtype} {list(kept.shape)} on {kept.device}, "
                f"expected torch.float32 {list(weight.shape)} on {weight.device}"
            )
        if kept.stride() != weight.stride() or kept.data_ptr() % kept.element_size():
            state[key] = torch.empty_strided(weight.shape, weight.stride(), dtype=torch.float32).copy_(kept)
