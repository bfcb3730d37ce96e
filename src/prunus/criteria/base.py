"""What every criterion shares: needs are honoured, half precision is widened, weights are read without a graph."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from prunus.errors import ScoreError
from prunus.structures import Structure


@dataclass(frozen=True)
class Criterion(ABC):
    """Say how much each group of a weight matters: one score a group, higher keeps.

    Members are frozen dataclasses that write ``_rate`` and declare what they need: ``needs_gradient`` (the gradient of
    the loss), ``random`` (draws from a generator), ``needs_weight`` (False: the values of the weights do not count, so
    that pruned ones can be told apart), ``local`` (False: a score depends on the other groups of its tensor too) and
    ``absolute`` (True: a single weight scores its absolute value, which kernels read off the weight).
    This base splits the weight, widens half precision to float32 (64-bit stays 64-bit) and refuses a missing need.

    >>> from prunus.criteria import Magnitude
    >>> from prunus.structures import Row
    >>> Magnitude(p=2).score(torch.tensor([[3.0, -4.0], [0.0, 1.0]]), Row())
    tensor([5., 1.])
    """

    needs_gradient: ClassVar[bool] = False
    needs_weight: ClassVar[bool] = True
    random: ClassVar[bool] = False
    local: ClassVar[bool] = True
    absolute: ClassVar[bool] = False

    def __init_subclass__(cls) -> None:
        """Leave shortcuts to classes that state them beside their ``_rate``: an inherited one knows no new formula."""
        super().__init_subclass__()
        if "_rate" in vars(cls):
            cls.absolute = vars(cls).get("absolute", False)
            cls._walk = vars(cls).get("_walk", Criterion._walk)  # type: ignore[method-assign]

    @torch.no_grad()
    def score(
        self,
        weight: Tensor,
        structure: Structure,
        *,
        gradient: Tensor | None = None,
        generator: Generator | None = None,
    ) -> Tensor:
        """Return the scores (groups,) of ``weight`` in float32 or float64, on its device.

        Errors: StructureError when the weight cannot be split; ScoreError when it is not floating point, or when a
        declared need (``gradient`` of the weight's shape, ``generator``) was not passed.
        """
        walked = self._walk(weight, structure)
        if walked is not None:
            return walked
        groups = widen(structure.split(weight))
        if self.random and generator is None:
            raise ScoreError(f"{self} needs generator=, a torch.Generator whose state a resumed run restores; got None")
        if not self.needs_gradient:
            return self._rate(groups, None, generator)
        if gradient is None or gradient.shape != weight.shape:
            found = "None" if gradient is None else f"shape {tuple(gradient.shape)}"
            wanted = f"gradient= of shape {tuple(weight.shape)}"
            raise ScoreError(f"{self} needs {wanted}, got {found}; score after backward() and before zero_grad()")
        return self._rate(groups, widen(structure.split(gradient)), generator)

    def _walk(self, weight: Tensor, structure: Structure) -> Tensor | None:
        """Score (groups,) straight from the memory of the weight, where a member has a kernel for that; else None."""
        return None

    @abstractmethod
    def _rate(self, groups: Tensor, gradient: Tensor | None, generator: Generator | None) -> Tensor:
        """Score (groups, members) of at least float32: return (groups,)."""


def widen(values: Tensor) -> Tensor:
    """Return half precision as float32, contiguous, and leave float32 and float64 as they are.

    bfloat16 sums would tie what differs, and sums over strided memory round otherwise than over contiguous memory, so
    that channels_last would prune other weights.

    >>> widen(torch.zeros(2, dtype=torch.bfloat16)).dtype, widen(torch.zeros(2, dtype=torch.float64)).dtype
    (torch.float32, torch.float64)
    """
    if not values.is_floating_point():
        raise ScoreError(f"cannot score {values.dtype}, expected floating-point weights; score before quantising")
    return values.to(torch.promote_types(values.dtype, torch.float32)).contiguous()
