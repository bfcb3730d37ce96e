"""For any loop: a loader whose order and position survive a kill in the middle of an epoch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from prunus.errors import CheckpointError, Faults, SettingError, require_count

SPREAD = 0x9E3779B1  # odd and large, so that neighbouring seeds start far apart: seed 1 epoch 0 is not seed 0 epoch 1


class ResumableLoader:
    """Mini-batches of tensors in memory; the order is a pure function of (seed, epoch), the position can be saved.

    The loader counts its epochs itself: every pass to the end moves to the next one, a pass that is broken off starts
    again. After :meth:`load_state_dict` the next pass continues behind the last batch that was handed out. No global
    random state is read or written. Lightning finds the same methods: it saves and restores the position, and sets the
    epoch through ``sampler``.

    Args:
        tensors: at least one; all with the same number of rows (dim 0), on any device.
        batch_size: rows of a batch.
        shuffle: a new order each epoch; False keeps the order of the rows.
        seed: of the order, a whole number from 0.
        drop_last: leave out the last batch when it is smaller than ``batch_size``.
        rank, world_size: the share of this process in a distributed run, ``order[rank::world_size]``; the order is
            first filled up from its start (or cut, with ``drop_last``) until all shares are equally long.

    Errors: SettingError for no tensors, unequal rows, no batch at all, or a setting out of range.
    Use it for data that fits into memory. For data on disk use a torch ``DataLoader`` and save at the end of an epoch.
    One pass at a time: two iterators of one loader share its position.

    >>> loader = ResumableLoader(torch.arange(5), batch_size=2, shuffle=False)
    >>> passing = iter(loader)
    >>> next(passing)
    (tensor([0, 1]),)
    >>> again = ResumableLoader(torch.arange(5), batch_size=2, shuffle=False)
    >>> again.load_state_dict(loader.state_dict())
    >>> list(again)
    [(tensor([2, 3]),), (tensor([4]),)]
    """

    batch_sampler: None = None
    """Lightning asks for it wherever there is a ``sampler``."""

    def __init__(
        self,
        *tensors: Tensor,
        batch_size: int,
        shuffle: bool = True,
        seed: int = 0,
        drop_last: bool = False,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        for name, value, low in (("batch_size", batch_size, 1), ("seed", seed, 0), ("world_size", world_size, 1)):
            require_count(name, value, low)
        require_count("rank", rank, 0)
        self.tensors = tensors
        self.rows = _common_rows(tensors)
        self.batch_size, self.shuffle, self.seed, self.drop_last = batch_size, shuffle, seed, drop_last
        self.rank, self.world_size = rank, world_size
        self.epoch, self.batch = 0, 0
        self._continue = False
        if rank >= world_size:
            raise SettingError(f"rank is {rank}, expected less than world_size {world_size}")
        if len(self) == 0:
            share = f"{self.rows} rows over {world_size} processes" if world_size > 1 else f"{self.rows} rows"
            raise SettingError(f"no batch: {share} with batch_size {batch_size} and drop_last {drop_last}")

    def __len__(self) -> int:
        """Return the number of batches of a whole epoch, whatever the position."""
        return self._share // self.batch_size if self.drop_last else -(-self._share // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        """Yield the batches that are left of the epoch; the position moves before a batch is handed out.

        Everything happens at the first batch, because Lightning asks for iterators that it never uses and for the
        one it uses before it sets the epoch.
        """
        self._begin()
        order = self.order()
        for batch in range(self.batch, len(self)):
            self.batch = batch + 1
            rows = order[batch * self.batch_size : self.batch * self.batch_size]
            yield tuple(tensor[rows.to(tensor.device)] for tensor in self.tensors)
        self.epoch, self.batch = self.epoch + 1, 0

    @property
    def sampler(self) -> ResumableLoader:
        """The loader itself: Lightning calls ``sampler.set_epoch`` at the start of every epoch."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Start at ``epoch``, unless a loaded position inside that very epoch waits to be continued."""
        require_count("epoch", epoch, 0)
        if not (self._continue and epoch == self.epoch):
            self.epoch, self.batch, self._continue = epoch, 0, False

    def order(self) -> Tensor:
        """Return the rows of this process in the order of the current epoch."""
        order = torch.arange(self.rows)
        if self.shuffle:
            generator = torch.Generator().manual_seed((self.seed * SPREAD + self.epoch) % 2**32)
            order = torch.randperm(self.rows, generator=generator)
        filled = order.repeat(-(-self._share * self.world_size // self.rows))[: self._share * self.world_size]
        return filled[self.rank :: self.world_size]

    def state_dict(self) -> dict[str, Any]:
        """Return the position (epoch, batches handed out) and the settings that the order depends on."""
        return {"epoch": self.epoch, "batch": self.batch, **self._settings()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue behind the saved position; CheckpointError, and no change, when the order would differ."""
        faults = Faults("the saved position belongs to another loader")
        for name, ours in self._settings().items():
            if name not in state or state[name] != ours:
                faults.add(f"{name} was {state.get(name, 'not saved')}, is {ours}")
        faults.raise_as(CheckpointError)
        if state.get("epoch", -1) < 0 or not 0 <= state.get("batch", -1) <= len(self):
            where = f"epoch {state.get('epoch')}, batch {state.get('batch')}"
            raise CheckpointError(f"the saved position is {where}, expected at most batch {len(self)} of an epoch")
        self.epoch, self.batch, self._continue = state["epoch"], state["batch"], True

    @property
    def _share(self) -> int:
        return self.rows // self.world_size if self.drop_last else -(-self.rows // self.world_size)

    def _settings(self) -> dict[str, Any]:
        """The rank is left out: one process may save for all, and every rank is at the same batch."""
        names = ("batch_size", "drop_last", "rows", "seed", "shuffle", "world_size")
        return {name: vars(self)[name] for name in names}

    def _begin(self) -> None:
        """Take up a loaded position; otherwise start the epoch, or the next one when this one was handed out."""
        if not self._continue:
            self.epoch, self.batch = self.epoch + (self.batch == len(self)), 0
        self._continue = False


def _common_rows(tensors: tuple[Tensor, ...]) -> int:
    if not tensors or any(not isinstance(tensor, Tensor) or tensor.dim() == 0 for tensor in tensors):
        kinds = ", ".join(type(tensor).__name__ for tensor in tensors) or "nothing"
        raise SettingError(f"expected one or more tensors with at least one dimension, got {kinds}")
    rows = [len(tensor) for tensor in tensors]
    if len(set(rows)) > 1:
        raise SettingError(f"tensors have {', '.join(map(str, rows))} rows, expected the same number in all")
    return rows[0]
