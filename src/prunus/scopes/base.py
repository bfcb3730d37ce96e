"""What every scope shares: pools say how many members stay where, one ranking picks them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from prunus import keep
from prunus._pieces import count as count_true
from prunus._pieces import gathered
from prunus.errors import SettingError, require_count, require_fraction


@dataclass(frozen=True)
class Pool:
    """Tensors that share one budget: of all members of the tensors ``indices``, ``keep`` stay.

    >>> Pool(indices=(0, 2), keep=5)
    Pool(indices=(0, 2), keep=5)
    """

    indices: tuple[int, ...]
    keep: int


@dataclass(frozen=True)
class Scope(ABC):
    """Share one sparsity among many tensors.

    Members are frozen dataclasses that write ``_pools``; every tensor belongs to exactly one pool. Counts are the
    largest that do not exceed sparsity x members (elements or groups), :func:`prunus.keep.pruned_count`. A member that
    reads the ``shapes`` of the weights says so in ``needs_shapes`` and gets them beside the numbers of members.

    >>> import torch
    >>> from prunus.scopes import Global, PerLayer
    >>> scores = [torch.tensor([1.0, 2.0, 3.0, 4.0]), torch.tensor([5.0, 6.0])]
    >>> Global().select(scores, 0.5)
    [tensor([False, False, False,  True]), tensor([True, True])]
    >>> PerLayer().select(scores, 0.5)
    [tensor([False, False,  True,  True]), tensor([False,  True])]
    """

    needs_shapes: ClassVar[bool] = False

    def allot(
        self, sizes: Sequence[int], sparsity: float, *, shapes: Sequence[Sequence[int]] | None = None
    ) -> list[Pool]:
        """Return the pools for tensors with ``sizes`` members, cut from weights of ``shapes``.

        Errors: SettingError for a sparsity outside [0, 1], and for shapes that are needed and missing or not as many.
        """
        require_fraction("sparsity", sparsity)
        for i, size in enumerate(sizes):
            require_count(f"sizes[{i}]", size, 0)
        if self.needs_shapes and (shapes is None or len(shapes) != len(sizes)):
            found = "none" if shapes is None else str(len(shapes))
            raise SettingError(f"{self} needs shapes=, one weight shape for each of {len(sizes)} tensors, got {found}")
        return self._pools(list(sizes), sparsity, [tuple(shape) for shape in shapes or ()])

    @abstractmethod
    def _pools(self, sizes: list[int], sparsity: float, shapes: list[tuple[int, ...]]) -> list[Pool]:
        """Return the pools for valid sizes and sparsity; shapes may be empty unless they are needed."""

    def select(
        self,
        scores: Sequence[Tensor],
        sparsity: float,
        *,
        among: Sequence[Tensor] | None = None,
        shapes: Sequence[Sequence[int]] | None = None,
        absolute: bool = False,
    ) -> list[Tensor]:
        """Return one bool mask a score, True keeps; exact counts, ties to the earlier tensor and lower index.

        ``among`` holds bool masks of what is still alive: the dead count as pruned and never come back, and where more
        are dead than asked, all the living stay. ``shapes`` are those of the weights, where they are needed;
        ``absolute`` ranks by absolute value. Errors: SettingError; ScoreError for NaN among the candidates.
        """
        if among is not None and len(among) != len(scores):
            raise SettingError(f"among has {len(among)} masks, expected one for each of the {len(scores)} scores")
        masks: dict[int, Tensor] = {}
        for pool in self.allot([score.numel() for score in scores], sparsity, shapes=shapes):
            alive = None if among is None else [among[i] for i in pool.indices]
            members = [scores[i] for i in pool.indices]
            kept = keep.exactly(members, _at_most_alive(pool.keep, alive), among=alive, absolute=absolute)
            masks.update(zip(pool.indices, kept, strict=True))
        return [masks[i] for i in range(len(scores))]


def _at_most_alive(count: int, alive: list[Tensor] | None) -> int:
    return count if alive is None else min(count, sum(count_true(gathered(mask)) for mask in alive))
