"""What every scope shares: pools say how many members stay where, one ranking picks them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from prunus import keep
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

    Members are frozen dataclasses that write ``_pools``; every tensor belongs to exactly one pool. A pool prunes the
    largest count that does not exceed sparsity x members (elements or groups), :func:`prunus.keep.pruned_count`.

    >>> import torch
    >>> from prunus.scopes import Global, PerLayer
    >>> scores = [torch.tensor([1.0, 2.0, 3.0, 4.0]), torch.tensor([5.0, 6.0])]
    >>> Global().select(scores, 0.5)
    [tensor([False, False, False,  True]), tensor([True, True])]
    >>> PerLayer().select(scores, 0.5)
    [tensor([False, False,  True,  True]), tensor([False,  True])]
    """

    def allot(self, sizes: Sequence[int], sparsity: float) -> list[Pool]:
        """Return the pools for tensors with ``sizes`` members; SettingError for a sparsity outside [0, 1]."""
        require_fraction("sparsity", sparsity)
        for i, size in enumerate(sizes):
            require_count(f"sizes[{i}]", size, 0)
        return self._pools(list(sizes), sparsity)

    @abstractmethod
    def _pools(self, sizes: list[int], sparsity: float) -> list[Pool]:
        """Return the pools for valid sizes and sparsity."""

    def select(
        self, scores: Sequence[Tensor], sparsity: float, *, among: Sequence[Tensor] | None = None
    ) -> list[Tensor]:
        """Return one bool mask a score, True keeps; exact counts, ties to the earlier tensor and lower index.

        ``among`` holds bool masks of what is still alive: the dead count as pruned and never come back, and where more
        are dead than asked, all the living stay. Errors: SettingError; ScoreError for NaN among the candidates.
        """
        if among is not None and len(among) != len(scores):
            raise SettingError(f"among has {len(among)} masks, expected one for each of the {len(scores)} scores")
        masks: dict[int, Tensor] = {}
        for pool in self.allot([score.numel() for score in scores], sparsity):
            alive = None if among is None else [among[i] for i in pool.indices]
            members = [scores[i] for i in pool.indices]
            kept = keep.exactly(members, _at_most_alive(pool.keep, alive), among=alive)
            masks.update(zip(pool.indices, kept, strict=True))
        return [masks[i] for i in range(len(scores))]


def _at_most_alive(count: int, alive: list[Tensor] | None) -> int:
    return count if alive is None else min(count, sum(int(mask.sum()) for mask in alive))
